DELETE FROM result WHERE expires_at <= :now
