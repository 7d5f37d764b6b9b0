\set row :row + 1
INSERT INTO events (transaction_id, id, workspace, stream, version, type, schema_version, data, metadata, recorded_at, hash)
VALUES ((1::bigint << 44) | pg_current_xact_id()::text::bigint, lpad(to_hex(((:run * 64 + :client_id)::bigint << 40) + :row), 32, '0')::uuid, 'pgbench', 'order/ord_' || :run || '_' || :client_id || '_' || :row, 1,
        'order.created', 1, '{"orderId":"ord_01981f5c7d2e7b3c9a4be1f2a3b4c5d6","currency":"USD","number":"bench"}', '{"command":"order.create"}',
        now(), '\x0000000000000000000000000000000000000000000000000000000000000000');
