-- What pg_dump keeps. Not the outbox: the feed trigger fills it again when the records are restored, and marks them. Nor
-- the home: a restored log has none until somebody says how it goes on.
SELECT pg_catalog.pg_extension_config_dump('trustlog.operation', '');
SELECT pg_catalog.pg_extension_config_dump('trustlog.operation_seq_seq', '');
SELECT pg_catalog.pg_extension_config_dump('trustlog.erased', '');
SELECT pg_catalog.pg_extension_config_dump('trustlog.leaf', '');
SELECT pg_catalog.pg_extension_config_dump('trustlog.tile', '');
SELECT pg_catalog.pg_extension_config_dump('trustlog.set_aside', '');
SELECT pg_catalog.pg_extension_config_dump('trustlog.unattested', '');
SELECT pg_catalog.pg_extension_config_dump('trustlog.attestation', '');
SELECT pg_catalog.pg_extension_config_dump('trustlog.retry', '');
SELECT pg_catalog.pg_extension_config_dump('trustlog.cursor', '');
SELECT pg_catalog.pg_extension_config_dump('trustlog.state', '');
