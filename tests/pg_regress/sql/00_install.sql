-- What CREATE EXTENSION makes: a schema of its own, nothing for everybody, every object explained.
CREATE EXTENSION trustlog;
SELECT extversion, extnamespace::regnamespace, extrelocatable, obj_description(oid, 'pg_extension') FROM pg_extension WHERE extname = 'trustlog';
SELECT nspname, nspowner::regrole FROM pg_namespace WHERE nspname = 'trustlog';

-- Everything in the schema belongs to the extension, and all the extension's is in the schema.
SELECT pg_describe_object(classid, objid, 0) AS outside_the_schema
  FROM pg_depend d, pg_identify_object(d.classid, d.objid, 0) i
 WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
   AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'trustlog')
   AND i.schema IS DISTINCT FROM 'trustlog' AND i.type <> 'schema'
 ORDER BY 1;
WITH object (classid, objid) AS (
    SELECT 'pg_class'::regclass::oid, oid FROM pg_class WHERE relnamespace = 'trustlog'::regnamespace AND relkind IN ('r', 'v', 'm', 'f', 'p')
    UNION ALL SELECT 'pg_proc'::regclass, oid FROM pg_proc WHERE pronamespace = 'trustlog'::regnamespace)
SELECT pg_describe_object(classid, objid, 0) AS not_a_member FROM object o
 WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = o.classid AND d.objid = o.objid AND d.deptype = 'e')
 ORDER BY 1;

-- The tables and views, and which of them pg_dump keeps. The install script puts no row into a dumped table.
SELECT c.relname, c.relkind, c.oid = ANY (e.extconfig) AS dumped
  FROM pg_class c, pg_extension e
 WHERE c.relnamespace = 'trustlog'::regnamespace AND c.relkind IN ('r', 'v', 'S') AND e.extname = 'trustlog'
 ORDER BY c.relkind, c.relname COLLATE "C";
SELECT c.oid::regclass::text COLLATE "C" AS dumped_and_not_empty
  FROM pg_extension e, unnest(e.extconfig) AS x, pg_class c
 WHERE e.extname = 'trustlog' AND c.oid = x AND c.relkind = 'r'
   AND (xpath('/row/c/text()', query_to_xml(format('SELECT count(*) AS c FROM %s', c.oid::regclass), false, true, '')))[1]::text <> '0'
 ORDER BY 1;

-- No foreign keys.
SELECT conname FROM pg_constraint WHERE contype = 'f' AND connamespace = 'trustlog'::regnamespace;

-- The functions: volatility, whether they run as their owner, whether a NULL keeps them from being called.
SELECT p.proname, p.provolatile AS vol, p.prosecdef AS secdef, p.proisstrict AS strict
  FROM pg_proc p WHERE p.pronamespace = 'trustlog'::regnamespace
 ORDER BY p.proname COLLATE "C", p.pronargs;

-- SECURITY DEFINER means a pinned search_path.
SELECT p.oid::regprocedure AS search_path_open FROM pg_proc p
 WHERE p.pronamespace = 'trustlog'::regnamespace AND p.prosecdef
   AND NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (p.proconfig), false)
 ORDER BY 1;

-- Nothing is granted to PUBLIC.
SELECT 'schema' AS kind, nspname::text AS name, a.privilege_type FROM pg_namespace, aclexplode(coalesce(nspacl, acldefault('n', nspowner))) a
 WHERE nspname = 'trustlog' AND a.grantee = 0
UNION ALL
SELECT 'relation', c.relname, a.privilege_type FROM pg_class c, aclexplode(coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner))) a
 WHERE c.relnamespace = 'trustlog'::regnamespace AND a.grantee = 0
UNION ALL
SELECT 'column', t.attrelid::regclass || '.' || t.attname, a.privilege_type FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid, aclexplode(t.attacl) a
 WHERE c.relnamespace = 'trustlog'::regnamespace AND a.grantee = 0
UNION ALL
SELECT 'function', p.oid::regprocedure::text, a.privilege_type FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
 WHERE p.pronamespace = 'trustlog'::regnamespace AND a.grantee = 0
UNION ALL
SELECT 'type', t.oid::regtype::text, a.privilege_type FROM pg_type t LEFT JOIN pg_class c ON c.oid = t.typrelid, aclexplode(coalesce(t.typacl, acldefault('T', t.typowner))) a
 WHERE t.typnamespace = 'trustlog'::regnamespace AND t.typelem = 0 AND (c.oid IS NULL OR c.relkind = 'c') AND a.grantee = 0
 ORDER BY 1, 2;

-- No function has the name of a built-in one.
SELECT DISTINCT p.proname AS shadows FROM pg_proc p JOIN pg_proc b ON b.proname = p.proname AND b.pronamespace = 'pg_catalog'::regnamespace
 WHERE p.pronamespace = 'trustlog'::regnamespace ORDER BY 1;

-- Every function, table, view and type says what it is.
WITH object (classid, objid) AS (
    SELECT 'pg_class'::regclass::oid, oid FROM pg_class WHERE relnamespace = 'trustlog'::regnamespace AND relkind IN ('r', 'v')
    UNION ALL SELECT 'pg_proc'::regclass, oid FROM pg_proc WHERE pronamespace = 'trustlog'::regnamespace
    UNION ALL SELECT 'pg_type'::regclass, t.oid FROM pg_type t LEFT JOIN pg_class c ON c.oid = t.typrelid
      WHERE t.typnamespace = 'trustlog'::regnamespace AND t.typelem = 0 AND (c.oid IS NULL OR c.relkind = 'c'))
SELECT pg_describe_object(classid, objid, 0) AS without_a_comment FROM object
 WHERE obj_description(objid, classid::regclass::name) IS NULL ORDER BY 1;

-- The settings, with the defaults that are built in.
SELECT name, boot_val, unit, context, vartype, min_val, max_val, enumvals FROM pg_settings WHERE name LIKE 'trustlog.%' ORDER BY name COLLATE "C";
SELECT name AS without_a_description FROM pg_settings WHERE name LIKE 'trustlog.%' AND coalesce(short_desc, '') = '';
\set VERBOSITY sqlstate
SET trustlog.no_such_setting = 1;
SET trustlog.sink = 'nowhere';
SET trustlog.default_strategy = 'NONE';
SET trustlog.seal_batch_size = 0;
SET trustlog.seal_batch_size = 10001;
SET trustlog.retry_factor = 0.5;
SET trustlog.retry_jitter = 1.5;
SET trustlog.databases = 'other';

-- The append-only guards fire always, the others as usual.
SELECT tgrelid::regclass, tgname, tgenabled FROM pg_trigger
 WHERE tgrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'trustlog'::regnamespace) AND NOT tgisinternal
 ORDER BY tgrelid::regclass::text COLLATE "C", tgname;

-- It goes as it came, and comes again.
SET client_min_messages = warning;
DROP EXTENSION trustlog;
RESET client_min_messages;
SELECT count(*) FROM pg_namespace WHERE nspname = 'trustlog';
-- Nobody can have put a schema of that name in its way unnoticed.
CREATE SCHEMA trustlog;
CREATE EXTENSION trustlog;
DROP SCHEMA trustlog;
CREATE EXTENSION trustlog;
CREATE EXTENSION trustlog;
