-- The worker is ended by force. A record that is saved then waits for the next worker.
SELECT pg_terminate_backend(pid, 5000)
  FROM trustlog.stat_worker WHERE kind = 'worker' AND datname = 'demo';
SELECT created
  FROM trustlog.save('during-absence', 'alice', '10.5555.shop/2', 'shop', 'DOIP', 1, 'shop');
SELECT trustlog.wait_for_attestation('during-absence', '20 s');
