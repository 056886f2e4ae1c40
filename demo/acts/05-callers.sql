-- In a second database; the first one stays as it is.
ALTER DATABASE callers SET trustlog.sink = 'manual';
\connect callers
CREATE EXTENSION trustlog;
