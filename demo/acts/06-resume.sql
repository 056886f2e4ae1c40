-- And on:
SELECT trustlog.resume();
SELECT trustlog.wait_for_attestation('during-pause', '5 s');
