-- Who got how many?
SELECT worker, count(*) AS records, count(DISTINCT op_id) AS different
  FROM pulled GROUP BY worker ORDER BY worker;
