SELECT value FROM result WHERE key = :key AND expires_at > :now
