-- A record is saved in the caller's own transaction, beside the caller's own rows:
CREATE TABLE orders (id int PRIMARY KEY, item text);
BEGIN;
INSERT INTO orders VALUES (1, 'a book');
SELECT seq, created
  FROM trustlog.save('order-1', 'alice', '10.5555.shop/order-1', 'shop', 'DOIP', 1, 'shop',
                     request_body_hash => 'sha256:2c26b46b');
COMMIT;

-- The client lost the answer and says it again: no error, and created is false.
SELECT seq, created
  FROM trustlog.save('order-1', 'alice', '10.5555.shop/order-1', 'shop', 'DOIP', 1, 'shop',
                     request_body_hash => 'sha256:2c26b46b');

-- The same id with another content is refused:
SELECT seq, created
  FROM trustlog.save('order-1', 'alice', '10.5555.shop/order-1', 'shop', 'DOIP', 1, 'shop',
                     request_body_hash => 'sha256:fcde2b2e');

-- A record cannot be changed or removed:
UPDATE trustlog.operation SET op_actor = 'mallory' WHERE op_id = 'order-1';
DELETE FROM trustlog.operation WHERE op_id = 'order-1';

-- A transaction that is rolled back leaves no record, as it leaves no order:
BEGIN;
INSERT INTO orders VALUES (2, 'a mistake');
SELECT seq, created
  FROM trustlog.save('order-2', 'alice', '10.5555.shop/order-2', 'shop', 'DOIP', 1, 'shop');
ROLLBACK;
SELECT count(*) FROM trustlog.find_by_id('order-2');
