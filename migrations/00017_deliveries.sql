-- Telling others: webhooks, and mail of what was issued.

-- +goose Up
SET LOCAL search_path = pg_catalog, pg_temp;

CREATE TABLE flightbill.webhooks (
    id             bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    url            text    COLLATE "C" NOT NULL CHECK (url ~ '^https?://[!-~]+$' AND char_length(url) <= 2000),
    -- What is shown: without user, password and query, which may be secrets.
    target         text    COLLATE "C" NOT NULL GENERATED ALWAYS AS (regexp_replace(regexp_replace(url, '^(https?://)[^/?#]*@', '\1'), '[?#].*$', '')) STORED,
    events         text[]  NOT NULL CHECK (events <> '{}' AND events <@ '{invoice.issued,invoice.overdue,invoice.paid,invoice.voided,run.finished}'
                               AND array_position(events, NULL) IS NULL),
    created_at     timestamptz NOT NULL DEFAULT now(),
    stopped_at     timestamptz,                -- the receiver wants no more
    stopped_reason text,
    removed_at     timestamptz,                -- the row stays, since deliveries name it
    active         boolean NOT NULL GENERATED ALWAYS AS (stopped_at IS NULL AND removed_at IS NULL) STORED,
    CHECK ((stopped_at IS NULL) = (stopped_reason IS NULL))
);

-- What a webhook's messages are signed with: the current secret, and those before until
-- their end, so that the receiver can change over.
CREATE TABLE flightbill.webhook_secrets (
    webhook_id bigint NOT NULL REFERENCES flightbill.webhooks,
    secret     text   COLLATE "C" NOT NULL CHECK (secret ~ '^whsec_[A-Za-z0-9+/]{32,}={0,2}$'),
    until      timestamptz,                    -- null: the current one
    PRIMARY KEY (webhook_id, secret)
);
CREATE UNIQUE INDEX webhook_secrets_one_current ON flightbill.webhook_secrets (webhook_id) WHERE until IS NULL;

-- Each message to one receiver, for ever: River forgets its job a day after the end.
CREATE TABLE flightbill.deliveries (
    id           text    COLLATE "C" PRIMARY KEY DEFAULT 'msg_' || replace(gen_random_uuid()::text, '-', ''), -- the same at each try
    kind         text    NOT NULL CHECK (kind IN ('webhook', 'mail')),
    event        text    NOT NULL CHECK (event IN ('invoice.issued', 'invoice.overdue', 'invoice.paid', 'invoice.voided', 'run.finished')),
    invoice_id   bigint  REFERENCES flightbill.invoices,
    closes_on    date    REFERENCES flightbill.billing_runs, -- of run.finished: the run
    webhook_id   bigint  REFERENCES flightbill.webhooks,
    target       text    NOT NULL,             -- a webhook's target, or an address
    payload      json    NOT NULL,             -- as of the event; json keeps the bytes, which are signed
    state        text    NOT NULL DEFAULT 'pending' CHECK (state IN (
                     'pending',   -- not tried yet, or it waits for what last_error says
                     'failed',    -- tried, and will be again
                     'delivered', 'given_up')),
    attempts     integer NOT NULL DEFAULT 0,
    last_error   text,
    created_at   timestamptz NOT NULL DEFAULT now(),
    next_at      timestamptz DEFAULT now(),    -- of the next try; null: there is none
    delivered_at timestamptz,
    job_id       bigint  NOT NULL DEFAULT nextval('flightbill.river_job_id_seq'), -- River's, that works it
    CHECK ((kind = 'webhook') = (webhook_id IS NOT NULL)),
    CHECK (CASE event WHEN 'run.finished' THEN invoice_id IS NULL AND closes_on IS NOT NULL ELSE invoice_id IS NOT NULL AND closes_on IS NULL END),
    CHECK ((state = 'delivered') = (delivered_at IS NOT NULL)),
    CHECK ((state IN ('pending', 'failed')) = (next_at IS NOT NULL))
);
CREATE INDEX deliveries_created_idx ON flightbill.deliveries (created_at, id);
CREATE INDEX deliveries_invoice_idx ON flightbill.deliveries (invoice_id) WHERE invoice_id IS NOT NULL;
CREATE INDEX deliveries_open_idx ON flightbill.deliveries (state, kind) WHERE state <> 'delivered';

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION flightbill.deliveries_stay() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION 'rows of deliveries are kept as they are: they show what was sent, to whom and when'
        USING HINT = 'Only how far a delivery has got changes; flightbill.retry_deliveries has one tried again.';
END
$$;
REVOKE ALL ON FUNCTION flightbill.deliveries_stay FROM PUBLIC;
-- +goose StatementEnd

-- +goose StatementBegin
-- enqueue_deliveries inserts the jobs of deliveries, each under the job id that its
-- delivery has, as River's own client does, and wakes its workers.
CREATE OR REPLACE FUNCTION flightbill.enqueue_deliveries(delivery_ids text[]) RETURNS void
    LANGUAGE sql
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
    INSERT INTO flightbill.river_job (id, kind, args, queue, priority, max_attempts, scheduled_at, state, metadata)
    SELECT d.job_id, 'deliver', jsonb_build_object('delivery_id', d.id), 'deliveries', 1, 25, now(), 'available', '{}'
    FROM flightbill.deliveries d WHERE d.id = ANY (delivery_ids);
    SELECT pg_notify('flightbill.river_insert', '{"queue": "deliveries"}') WHERE current_setting('flightbill.notify', true) IS DISTINCT FROM 'off';
$$;
REVOKE ALL ON FUNCTION flightbill.enqueue_deliveries FROM PUBLIC;
-- +goose StatementEnd

-- +goose StatementBegin
-- retry_deliveries has deliveries tried again at once, as if for the first time where
-- they were given up; without ids, all that have failed, but those of webhooks that are no more. It returns how many.
--
-- It runs with its owner's rights: who may call it needs no others.
CREATE OR REPLACE FUNCTION flightbill.retry_deliveries(delivery_ids text[] DEFAULT NULL) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
DECLARE
    wanted    text[];
    given_up  text[]; -- of these; their job ends, though River may not have written so yet
    ended     text[]; -- of these, those whose job is over
    unknown   text;
    delivered record;
BEGIN
    SELECT u.id INTO unknown FROM unnest(delivery_ids) AS u (id) WHERE NOT EXISTS (SELECT FROM flightbill.deliveries d WHERE d.id = u.id) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'delivery % is not known', coalesce(quote_literal(unknown), 'NULL')
            USING ERRCODE = 'no_data_found', HINT = 'Give its id as flightbill deliveries list shows it: msg_ and 32 letters and digits.';
    END IF;
    wanted := ARRAY(
        SELECT d.id FROM flightbill.deliveries d
        WHERE CASE WHEN delivery_ids IS NOT NULL THEN d.id = ANY (delivery_ids) ELSE d.state IN ('failed', 'given_up')
            AND (d.webhook_id IS NULL OR EXISTS (SELECT FROM flightbill.webhooks w WHERE w.id = d.webhook_id AND w.active)) END
        ORDER BY d.id FOR UPDATE);
    SELECT d.id, d.delivered_at INTO delivered FROM flightbill.deliveries d WHERE d.id = ANY (delivery_ids) AND d.state = 'delivered' LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'delivery % was delivered at %', delivered.id, delivered.delivered_at
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Only what was not delivered is tried again.';
    END IF;
    given_up := ARRAY(SELECT d.id FROM flightbill.deliveries d WHERE d.id = ANY (wanted) AND d.state = 'given_up');
    UPDATE flightbill.deliveries d SET state = 'pending', next_at = now() WHERE d.id = ANY (wanted);

    -- A job that waits goes at once; one at work, or next in line, is as good.
    UPDATE flightbill.river_job j SET state = 'available', scheduled_at = now()
    FROM (
        SELECT w.id FROM flightbill.river_job w
        WHERE w.id IN (SELECT d.job_id FROM flightbill.deliveries d WHERE d.id = ANY (wanted)) AND w.kind = 'deliver' AND w.state IN ('scheduled', 'retryable')
        ORDER BY w.id FOR UPDATE
    ) AS waits
    WHERE j.id = waits.id;
    ended := ARRAY(
        SELECT d.id FROM flightbill.deliveries d
        WHERE d.id = ANY (wanted) AND (d.id = ANY (given_up) OR NOT EXISTS (
            SELECT FROM flightbill.river_job j WHERE j.id = d.job_id AND j.kind = 'deliver' AND j.state IN ('available', 'running'))));
    UPDATE flightbill.deliveries d SET job_id = nextval('flightbill.river_job_id_seq') WHERE d.id = ANY (ended);
    PERFORM flightbill.enqueue_deliveries(ended);
    RETURN cardinality(wanted);
END
$$;
REVOKE ALL ON FUNCTION flightbill.retry_deliveries FROM PUBLIC;
-- +goose StatementEnd

-- +goose StatementBegin
-- invoices_tell writes a delivery for each webhook that wants to know of an invoice's new
-- status, and for each address to which an issued one is mailed. What they say is as of
-- now: a later try says the same. It costs nothing where nobody listens.
--
-- It runs with its owner's rights: nobody else need write deliveries, nor can forge one.
CREATE OR REPLACE FUNCTION flightbill.invoices_tell() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
DECLARE
    wanted text[] := ARRAY(SELECT DISTINCT e.event FROM flightbill.webhooks w, unnest(w.events) AS e (event) WHERE w.active);
    issuer record;
    zone   text;
    told   text[];
BEGIN
    SELECT i.name, i.mail_from, i.language INTO issuer FROM flightbill.issuers i ORDER BY i.id DESC LIMIT 1;
    IF wanted = '{}' AND issuer.mail_from IS NULL THEN
        RETURN NULL;
    END IF;
    zone := coalesce((SELECT s.timezone FROM flightbill.billing_settings s), 'UTC');
    WITH events AS (
        SELECT e.event, n.id, c.emails, c.language,
            to_char((CASE e.event WHEN 'invoice.issued' THEN n.issued_at ELSE now() END) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS at,
            json_build_object('number', n.number, 'customer', c.code, 'kind', n.kind,
                'status', CASE e.event WHEN 'invoice.issued' THEN 'PENDING' ELSE n.status END, 'currency', n.currency,
                'subtotal', n.subtotal::text, 'tax', n.tax::text, 'total', n.total::text,
                'issued_on', n.issued_on, 'due_on', CASE WHEN n.kind <> 'credit_note' THEN n.due_on END, 'closes_on', n.closes_on,
                'paid_on', CASE e.event WHEN 'invoice.paid' THEN (n.paid_at AT TIME ZONE zone)::date END,
                'credits', (SELECT v.number FROM flightbill.invoices v WHERE v.id = n.credits_invoice_id),
                'voided_by', CASE e.event WHEN 'invoice.voided' THEN (SELECT v.number FROM flightbill.invoices v WHERE v.credits_invoice_id = n.id) END) AS data
        FROM new_rows n JOIN old_rows o USING (id) JOIN flightbill.customers c ON c.id = n.customer_id
        CROSS JOIN LATERAL (
            SELECT 'invoice.issued' WHERE o.status = 'DRAFT'
            UNION ALL
            SELECT CASE n.status WHEN 'OVERDUE' THEN 'invoice.overdue' WHEN 'PAID' THEN 'invoice.paid' WHEN 'VOID' THEN 'invoice.voided' END
        ) AS e (event)
        WHERE n.status <> o.status AND (e.event = ANY (wanted) OR e.event = 'invoice.issued' AND issuer.mail_from IS NOT NULL AND c.emails <> '{}')
    ), made AS (
        INSERT INTO flightbill.deliveries (kind, event, invoice_id, webhook_id, target, payload)
        SELECT 'webhook', e.event, e.id, w.id, w.target, json_build_object('type', e.event, 'timestamp', e.at, 'data', e.data)
        FROM events e JOIN flightbill.webhooks w ON w.active AND e.event = ANY (w.events)
        UNION ALL
        SELECT DISTINCT ON (e.id, address) 'mail', e.event, e.id, NULL, address, json_build_object('from', issuer.mail_from, 'from_name', issuer.name,
            'language', coalesce(e.language, issuer.language), 'data', e.data)
        FROM events e CROSS JOIN LATERAL unnest(e.emails) AS address
        WHERE e.event = 'invoice.issued' AND issuer.mail_from IS NOT NULL
        RETURNING id
    )
    SELECT array_agg(id) INTO told FROM made;
    IF told IS NOT NULL THEN
        PERFORM flightbill.enqueue_deliveries(told);
    END IF;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION flightbill.invoices_tell FROM PUBLIC;
-- +goose StatementEnd

-- +goose StatementBegin
-- billing_runs_tell writes a delivery of a finished run for each webhook that wants to
-- know.
CREATE OR REPLACE FUNCTION flightbill.billing_runs_tell() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
DECLARE
    told text[];
BEGIN
    WITH made AS (
        INSERT INTO flightbill.deliveries (kind, event, closes_on, webhook_id, target, payload)
        SELECT 'webhook', 'run.finished', NEW.closes_on, w.id, w.target,
            json_build_object('type', 'run.finished', 'timestamp', to_char(NEW.finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
                'data', json_build_object('closes_on', NEW.closes_on, 'run_date', NEW.run_date, 'trigger', NEW.trigger,
                    'invoices', NEW.invoices, 'charges', NEW.charges, 'held', NEW.held, 'parked', NEW.parked))
        FROM flightbill.webhooks w WHERE w.active AND 'run.finished' = ANY (w.events)
        RETURNING id
    )
    SELECT array_agg(id) INTO told FROM made;
    IF told IS NOT NULL THEN
        PERFORM flightbill.enqueue_deliveries(told);
    END IF;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION flightbill.billing_runs_tell FROM PUBLIC;
-- +goose StatementEnd

CREATE TRIGGER stay BEFORE DELETE OR UPDATE OF id, kind, event, invoice_id, closes_on, webhook_id, target, payload, created_at ON flightbill.deliveries
    FOR EACH ROW EXECUTE FUNCTION flightbill.deliveries_stay();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON flightbill.deliveries EXECUTE FUNCTION flightbill.deliveries_stay();
ALTER TABLE flightbill.deliveries ENABLE ALWAYS TRIGGER stay, ENABLE ALWAYS TRIGGER refuse_truncate;

-- Not in an apply worker of a replication: who told others is where the change was made.
CREATE TRIGGER tell AFTER UPDATE ON flightbill.invoices
    REFERENCING NEW TABLE AS new_rows OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION flightbill.invoices_tell();
CREATE TRIGGER tell AFTER UPDATE ON flightbill.billing_runs FOR EACH ROW
    WHEN (OLD.finished_at IS NULL AND NEW.finished_at IS NOT NULL)
    EXECUTE FUNCTION flightbill.billing_runs_tell();

-- Secrets, and URLs that may have some, are the workers' alone.
GRANT SELECT ON flightbill.webhooks, flightbill.webhook_secrets TO flightbill_server;
GRANT UPDATE (stopped_at, stopped_reason) ON flightbill.webhooks TO flightbill_server;
GRANT SELECT (id, target, events, created_at, stopped_at, stopped_reason, removed_at, active) ON flightbill.webhooks TO flightbill_reporter, flightbill_accountant;
GRANT INSERT (url, events), UPDATE (removed_at) ON flightbill.webhooks TO flightbill_accountant;
GRANT SELECT (webhook_id, until) ON flightbill.webhook_secrets TO flightbill_reporter, flightbill_accountant;
GRANT INSERT (webhook_id, secret), UPDATE (until), DELETE ON flightbill.webhook_secrets TO flightbill_accountant;
GRANT SELECT ON flightbill.deliveries TO flightbill_server, flightbill_reporter, flightbill_accountant;
GRANT UPDATE (state, attempts, last_error, next_at, delivered_at) ON flightbill.deliveries TO flightbill_server;
GRANT EXECUTE ON FUNCTION flightbill.retry_deliveries TO flightbill_accountant;

-- +goose Down
SET LOCAL search_path = pg_catalog, pg_temp;
DROP TRIGGER tell ON flightbill.billing_runs;
DROP TRIGGER tell ON flightbill.invoices;
DROP FUNCTION flightbill.billing_runs_tell;
DROP FUNCTION flightbill.invoices_tell;
DROP FUNCTION flightbill.retry_deliveries;
DROP FUNCTION flightbill.enqueue_deliveries;
DROP TABLE flightbill.deliveries;
DROP FUNCTION flightbill.deliveries_stay;
DROP TABLE flightbill.webhook_secrets;
DROP TABLE flightbill.webhooks;
