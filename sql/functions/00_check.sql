-- The check that every function with max_rows makes.
CREATE FUNCTION trustlog.check_max_rows(max_rows int) RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF max_rows IS NULL THEN
        RAISE EXCEPTION 'max_rows must not be null'
            USING ERRCODE = 'null_value_not_allowed', HINT = 'Give a number from 1 to 100000.';
    ELSIF max_rows NOT BETWEEN 1 AND 100000 THEN
        RAISE EXCEPTION 'invalid max_rows: %', max_rows
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give a number from 1 to 100000.';
    END IF;
END $$;
