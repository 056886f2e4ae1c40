-- The extension can be created, and says what it is.
CREATE EXTENSION trustlog;
\dx trustlog
