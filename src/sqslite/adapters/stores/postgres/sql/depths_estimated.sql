WITH size AS MATERIALIZED (
    SELECT pages, least(pages, $2::bigint) AS looks
    FROM (
        SELECT pg_relation_size('sqslite.messages') / current_setting('block_size')::bigint AS pages
    ) AS whole
),
spots AS MATERIALIZED (
    SELECT pages, looks, pages * n / looks AS page
    FROM size
    CROSS JOIN LATERAL generate_series(0, looks - 1) AS n
)
SELECT
    seen.partition_id,
    count(*) FILTER (WHERE seen.lease_until IS NULL AND seen.not_before <= {now}) * max(pages) / max(looks),
    count(*) FILTER (WHERE seen.lease_until IS NULL AND seen.not_before > {now}) * max(pages) / max(looks),
    count(*) FILTER (WHERE seen.lease_until IS NOT NULL) * max(pages) / max(looks)
FROM spots
CROSS JOIN LATERAL (
    SELECT m.partition_id, m.lease_until, m.not_before
    FROM sqslite.messages AS m
    WHERE
        m.ctid >= format('(%s,0)', spots.page)::tid AND m.ctid < format('(%s,0)', spots.page + 1)::tid
        AND m.partition_id = ANY ($1::bigint[])
    -- Planned by itself, so that each look reads one page.
    OFFSET 0
) AS seen
GROUP BY seen.partition_id
