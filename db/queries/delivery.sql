-- name: DeliveryGet :one
SELECT d.kind, d.event, d.target, d.payload, d.state, d.created_at, d.webhook_id,
    coalesce(w.url, '')::text AS url, coalesce(w.active, false)::boolean AS webhook_active, coalesce(w.stopped_reason, '')::text AS stopped_reason
FROM flightbill.deliveries d LEFT JOIN flightbill.webhooks w ON w.id = d.webhook_id
WHERE d.id = @id AND d.job_id = @job_id;

-- What a try came to. The job id is the fence: a delivery that was given up and is tried
-- again has another.
-- name: DeliveryEnd :exec
UPDATE flightbill.deliveries
SET state = @state, attempts = attempts + @spent::integer, last_error = sqlc.narg(last_error), next_at = sqlc.narg(next_at), delivered_at = sqlc.narg(delivered_at)
WHERE id = @id AND job_id = @job_id AND state IN ('pending', 'failed');

-- name: DeliveryList :many
SELECT d.id, d.kind, d.event, i.number AS invoice, d.closes_on, d.target, d.state, d.attempts, d.last_error, d.created_at, d.next_at, d.delivered_at
FROM flightbill.deliveries d LEFT JOIN flightbill.invoices i ON i.id = d.invoice_id
WHERE sqlc.narg(state)::text IS NULL OR d.state = sqlc.narg(state)
ORDER BY d.created_at DESC, d.id
LIMIT @max_rows;

-- name: DeliveryRetry :one
SELECT flightbill.retry_deliveries(sqlc.narg(ids)::text[])::bigint AS deliveries;

-- A process that can send mail has what waits for one tried at once.
-- name: DeliveryWakeMail :exec
UPDATE flightbill.river_job SET state = 'available', scheduled_at = now()
WHERE id IN (
    SELECT j.id FROM flightbill.river_job j JOIN flightbill.deliveries d ON d.job_id = j.id
    WHERE d.kind = 'mail' AND d.state = 'pending' AND j.kind = 'deliver' AND j.state = 'scheduled'
    ORDER BY j.id FOR UPDATE OF j SKIP LOCKED);

-- Deliveries whose job is over or gone: nobody works them any more. One whose cancel was
-- forged goes back. The job id is the fence against a retry meanwhile.
-- name: DeliveryGiveUpStranded :many
WITH stranded AS MATERIALIZED (
    SELECT d.id, d.job_id FROM flightbill.deliveries d
    WHERE d.state IN ('pending', 'failed') AND NOT EXISTS (
        SELECT FROM flightbill.river_job j
        WHERE j.id = d.job_id AND j.kind = 'deliver'
            AND (j.state IN ('available', 'pending', 'retryable', 'running', 'scheduled') OR j.state = 'cancelled' AND NOT j.metadata ? 'cancel_attempted_at'))
), held AS (
    SELECT d.id FROM flightbill.deliveries d JOIN stranded s ON s.id = d.id AND s.job_id = d.job_id
    WHERE d.state IN ('pending', 'failed')
    ORDER BY d.id FOR UPDATE OF d SKIP LOCKED
)
UPDATE flightbill.deliveries d SET state = 'given_up', next_at = NULL, last_error = 'its job was cancelled, discarded or deleted'
FROM held
WHERE d.id = held.id
RETURNING d.id;

-- For /metrics.
-- name: DeliveryCountOpen :many
SELECT kind, count(*) AS deliveries FROM flightbill.deliveries WHERE state IN ('pending', 'failed') GROUP BY kind;

-- name: WebhookAdd :one
INSERT INTO flightbill.webhooks (url, events) VALUES (@url, @events) RETURNING id;

-- until is that of the last secret before the current one, while it signs too.
-- name: WebhookList :many
SELECT w.id, w.target, w.events, w.created_at, w.stopped_at, w.stopped_reason, s.until
FROM flightbill.webhooks w LEFT JOIN LATERAL (
    SELECT b.until FROM flightbill.webhook_secrets b WHERE b.webhook_id = w.id AND b.until > @now::timestamptz ORDER BY b.until DESC LIMIT 1
) AS s ON true
WHERE w.removed_at IS NULL ORDER BY w.id;

-- name: WebhookRemove :execrows
UPDATE flightbill.webhooks SET removed_at = @at WHERE id = @id AND removed_at IS NULL;

-- name: WebhookStop :execrows
UPDATE flightbill.webhooks SET stopped_at = @at, stopped_reason = @reason WHERE id = @id AND active;

-- name: WebhookSecretAdd :exec
INSERT INTO flightbill.webhook_secrets (webhook_id, secret) VALUES (@webhook_id, @secret);

-- name: WebhookSecretEnd :execrows
UPDATE flightbill.webhook_secrets SET until = @until WHERE webhook_id = @webhook_id AND until IS NULL;

-- Those whose end has come; without an instant, all.
-- name: WebhookSecretDelete :exec
DELETE FROM flightbill.webhook_secrets WHERE webhook_id = @webhook_id AND (until <= sqlc.narg(ended)::timestamptz OR sqlc.narg(ended) IS NULL);

-- name: WebhookSecrets :many
SELECT secret FROM flightbill.webhook_secrets
WHERE webhook_id = @webhook_id AND (until IS NULL OR until > @now::timestamptz)
ORDER BY until DESC NULLS FIRST;
