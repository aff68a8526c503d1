-- The queue of messages: what pg-boss 10.4.2 makes for itself (PgBoss.getConstructionPlans('payout_queue')), made here
-- by the owner, because the service's role makes no tables. Its own name, as the main app may use pg-boss in this database.
CREATE SCHEMA payout_queue;
--> statement-breakpoint
CREATE TYPE payout_queue.job_state AS ENUM (
  'created',
  'retry',
  'active',
  'completed',
  'cancelled',
  'failed'
);
--> statement-breakpoint
CREATE TABLE payout_queue.version (
  version int primary key,
  maintained_on timestamp with time zone,
  cron_on timestamp with time zone,
  monitored_on timestamp with time zone
);
--> statement-breakpoint
CREATE TABLE payout_queue.queue (
  name text,
  policy text,
  retry_limit int,
  retry_delay int,
  retry_backoff bool,
  expire_seconds int,
  retention_minutes int,
  dead_letter text REFERENCES payout_queue.queue (name),
  partition_name text,
  created_on timestamp with time zone not null default now(),
  updated_on timestamp with time zone not null default now(),
  PRIMARY KEY (name)
);
--> statement-breakpoint
CREATE TABLE payout_queue.schedule (
  name text REFERENCES payout_queue.queue ON DELETE CASCADE,
  cron text not null,
  timezone text,
  data jsonb,
  options jsonb,
  created_on timestamp with time zone not null default now(),
  updated_on timestamp with time zone not null default now(),
  PRIMARY KEY (name)
);
--> statement-breakpoint
CREATE TABLE payout_queue.subscription (
  event text not null,
  name text not null REFERENCES payout_queue.queue ON DELETE CASCADE,
  created_on timestamp with time zone not null default now(),
  updated_on timestamp with time zone not null default now(),
  PRIMARY KEY(event, name)
);
--> statement-breakpoint
CREATE TABLE payout_queue.job (
  id uuid not null default gen_random_uuid(),
  name text not null,
  priority integer not null default(0),
  data jsonb,
  state payout_queue.job_state not null default('created'),
  retry_limit integer not null default(2),
  retry_count integer not null default(0),
  retry_delay integer not null default(0),
  retry_backoff boolean not null default false,
  start_after timestamp with time zone not null default now(),
  started_on timestamp with time zone,
  singleton_key text,
  singleton_on timestamp without time zone,
  expire_in interval not null default interval '15 minutes',
  created_on timestamp with time zone not null default now(),
  completed_on timestamp with time zone,
  keep_until timestamp with time zone NOT NULL default now() + interval '14 days',
  output jsonb,
  dead_letter text,
  policy text
) PARTITION BY LIST (name);
--> statement-breakpoint
ALTER TABLE payout_queue.job ADD PRIMARY KEY (name, id);
--> statement-breakpoint
CREATE TABLE payout_queue.archive (LIKE payout_queue.job);
--> statement-breakpoint
ALTER TABLE payout_queue.archive ADD PRIMARY KEY (name, id);
--> statement-breakpoint
ALTER TABLE payout_queue.archive ADD archived_on timestamptz NOT NULL DEFAULT now();
--> statement-breakpoint
CREATE INDEX archive_i1 ON payout_queue.archive(archived_on);
--> statement-breakpoint
CREATE FUNCTION payout_queue.create_queue(queue_name text, options json)
RETURNS VOID AS
$$
DECLARE
  table_name varchar := 'j' || encode(sha224(queue_name::bytea), 'hex');
  queue_created_on timestamptz;
BEGIN
  WITH q as (
  INSERT INTO payout_queue.queue (
    name,
    policy,
    retry_limit,
    retry_delay,
    retry_backoff,
    expire_seconds,
    retention_minutes,
    dead_letter,
    partition_name
  )
  VALUES (
    queue_name,
    options->>'policy',
    (options->>'retryLimit')::int,
    (options->>'retryDelay')::int,
    (options->>'retryBackoff')::bool,
    (options->>'expireInSeconds')::int,
    (options->>'retentionMinutes')::int,
    options->>'deadLetter',
    table_name
  )
  ON CONFLICT DO NOTHING
  RETURNING created_on
  )
  SELECT created_on into queue_created_on from q;
  IF queue_created_on IS NULL THEN
    RETURN;
  END IF;
  EXECUTE format('CREATE TABLE payout_queue.%I (LIKE payout_queue.job INCLUDING DEFAULTS)', table_name);
  EXECUTE format('ALTER TABLE payout_queue.%1$I ADD PRIMARY KEY (name, id)', table_name);
  EXECUTE format('ALTER TABLE payout_queue.%1$I ADD CONSTRAINT q_fkey FOREIGN KEY (name) REFERENCES payout_queue.queue (name) ON DELETE RESTRICT DEFERRABLE INITIALLY DEFERRED', table_name);
  EXECUTE format('ALTER TABLE payout_queue.%1$I ADD CONSTRAINT dlq_fkey FOREIGN KEY (dead_letter) REFERENCES payout_queue.queue (name) ON DELETE RESTRICT DEFERRABLE INITIALLY DEFERRED', table_name);
  EXECUTE format('CREATE UNIQUE INDEX %1$s_i1 ON payout_queue.%1$I (name, COALESCE(singleton_key, '''')) WHERE state = ''created'' AND policy = ''short''', table_name);
  EXECUTE format('CREATE UNIQUE INDEX %1$s_i2 ON payout_queue.%1$I (name, COALESCE(singleton_key, '''')) WHERE state = ''active'' AND policy = ''singleton''', table_name);
  EXECUTE format('CREATE UNIQUE INDEX %1$s_i3 ON payout_queue.%1$I (name, state, COALESCE(singleton_key, '''')) WHERE state <= ''active'' AND policy = ''stately''', table_name);
  EXECUTE format('CREATE UNIQUE INDEX %1$s_i4 ON payout_queue.%1$I (name, singleton_on, COALESCE(singleton_key, '''')) WHERE state <> ''cancelled'' AND singleton_on IS NOT NULL', table_name);
  EXECUTE format('CREATE INDEX %1$s_i5 ON payout_queue.%1$I (name, start_after) INCLUDE (priority, created_on, id) WHERE state < ''active''', table_name);
  EXECUTE format('ALTER TABLE payout_queue.%I ADD CONSTRAINT cjc CHECK (name=%L)', table_name, queue_name);
  EXECUTE format('ALTER TABLE payout_queue.job ATTACH PARTITION payout_queue.%I FOR VALUES IN (%L)', table_name, queue_name);
END;
$$
LANGUAGE plpgsql;
--> statement-breakpoint
CREATE FUNCTION payout_queue.delete_queue(queue_name text)
RETURNS VOID AS
$$
DECLARE
  table_name varchar;
BEGIN
  WITH deleted as (
    DELETE FROM payout_queue.queue
    WHERE name = queue_name
    RETURNING partition_name
  )
  SELECT partition_name from deleted INTO table_name;
  EXECUTE format('DROP TABLE IF EXISTS payout_queue.%I', table_name);
END;
$$
LANGUAGE plpgsql;
--> statement-breakpoint
INSERT INTO payout_queue.version(version) VALUES ('24');
--> statement-breakpoint
-- Who gives up a message is told of it here.
SELECT payout_queue.create_queue('mail-dead', '{"policy":"standard","retentionMinutes":5256000}');
--> statement-breakpoint
-- Three retries, five minutes apart (design document, Retry Strategy); a worker that says nothing for three minutes is
-- dead; what waits is never thrown away for its age (ten years).
SELECT payout_queue.create_queue('mail', '{"policy":"standard","retryLimit":3,"retryDelay":300,"retryBackoff":false,"expireInSeconds":180,"retentionMinutes":5256000,"deadLetter":"mail-dead"}');
--> statement-breakpoint
GRANT USAGE ON SCHEMA payout_queue TO payout_service;
--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE, DELETE ON payout_queue.job, payout_queue.archive TO payout_service;
--> statement-breakpoint
GRANT SELECT, UPDATE ON payout_queue.version TO payout_service;
--> statement-breakpoint
-- The number of retries and the time between them are settings. Queues themselves are made by migrations.
GRANT SELECT, UPDATE (policy, retry_limit, retry_delay, retry_backoff, expire_seconds, retention_minutes, dead_letter, updated_on)
  ON payout_queue.queue TO payout_service;
--> statement-breakpoint
-- The queue's lease stands for it.
ALTER TABLE "notifications" DROP COLUMN "lease_until";
