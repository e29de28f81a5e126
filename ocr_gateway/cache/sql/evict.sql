DELETE FROM result WHERE key IN (
    SELECT key FROM (
        SELECT key, SUM(bytes) OVER (ORDER BY expires_at, key) - bytes AS freed_before FROM result
    ) WHERE freed_before < :excess
)
