-- In a new database:
CREATE EXTENSION trustlog;
