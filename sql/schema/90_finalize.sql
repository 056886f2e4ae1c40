-- Nothing is for everybody. What a role needs it gets by trustlog.grant_access().
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA trustlog FROM PUBLIC;

-- Install scripts run with notices turned down; this one is meant to be read.
ALTER FUNCTION trustlog.after_install() SET client_min_messages = notice;
SELECT trustlog.after_install();
DROP FUNCTION trustlog.after_install();
