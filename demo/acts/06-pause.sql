-- For maintenance of whatever kind, everything can be paused; saving goes on.
SELECT trustlog.pause('all');
SELECT created
  FROM trustlog.save('during-pause', 'alice', '10.5555.shop/1', 'shop', 'DOIP', 1, 'shop');
SELECT trustlog.wait_for_attestation('during-pause', '1 s');
SELECT state, reason, not_attested FROM trustlog.stat;
