-- The schema is a member of the extension: it goes when the extension goes, and nobody can have made it before.
CREATE SCHEMA trustlog;
