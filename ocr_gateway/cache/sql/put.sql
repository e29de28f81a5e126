INSERT INTO result (key, value, bytes, expires_at) VALUES (:key, :value, :bytes, :expires_at)
ON CONFLICT (key) DO UPDATE SET value = excluded.value, bytes = excluded.bytes, expires_at = excluded.expires_at
