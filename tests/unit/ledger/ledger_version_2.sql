-- A ledger as schema version 2 wrote it: decisions on test rows were events and nothing else.
BEGIN TRANSACTION;
CREATE TABLE ratchet_candidates (
        project TEXT NOT NULL, run_id TEXT NOT NULL, candidate TEXT NOT NULL,
        algorithm TEXT NOT NULL, best BOOLEAN NOT NULL, params TEXT NOT NULL,
        seconds DOUBLE PRECISION, error TEXT,
        PRIMARY KEY (project, run_id, candidate));
CREATE TABLE ratchet_chains (
        project TEXT PRIMARY KEY, seq BIGINT NOT NULL, at VARCHAR(27), hash VARCHAR(64) NOT NULL);
INSERT INTO "ratchet_chains" VALUES('churn',6,'2026-11-21T02:00:02.000000Z','29f6a4b6a825d42b1e134f322dc10a661ba90e8395b8d7abab2462e5bfbce8b0');
CREATE TABLE ratchet_deployments (
        project TEXT NOT NULL, seq BIGINT NOT NULL, at VARCHAR(27) NOT NULL, alias TEXT NOT NULL,
        action TEXT NOT NULL, version INTEGER, previous_version INTEGER, by TEXT NOT NULL,
        reason TEXT NOT NULL, run_id TEXT, promotes_run TEXT, forced BOOLEAN NOT NULL,
        traffic TEXT NOT NULL, threshold DOUBLE PRECISION, schema_digest TEXT,
        PRIMARY KEY (project, seq),
        CONSTRAINT ratchet_one_promotion_per_run UNIQUE (project, promotes_run));
CREATE TABLE ratchet_events (
        project TEXT NOT NULL, seq BIGINT NOT NULL, at VARCHAR(27) NOT NULL, kind TEXT NOT NULL,
        run_id TEXT, facts TEXT NOT NULL, previous VARCHAR(64) NOT NULL, hash VARCHAR(64) NOT NULL,
        PRIMARY KEY (project, seq));
INSERT INTO "ratchet_events" VALUES('churn',1,'2026-11-21T02:00:01.000000Z','run_started','20261121-020000-aaaa','{"trigger":"manual","trigger_key":null}','','18f5c8ec3dd5b60b865f5917e7a47b0d286424ae5588d9373c74277dc025184b');
INSERT INTO "ratchet_events" VALUES('churn',2,'2026-11-21T02:00:01.000000Z','holdout_used','20261121-020000-aaaa','{"sketch":["0020000000000000","0060000000000000","00a0000000000000","00e0000000000000","0120000000000000","0160000000000000","01a0000000000000","01e0000000000000"]}','18f5c8ec3dd5b60b865f5917e7a47b0d286424ae5588d9373c74277dc025184b','ff7849b1091db730233e070ee59fe441d0bdcfdf01f0174533deff7f09222054');
INSERT INTO "ratchet_events" VALUES('churn',3,'2026-11-21T02:00:01.000000Z','run_finished','20261121-020000-aaaa','{"outcome":"rejected","reason":"not proven better","seconds":0.0}','ff7849b1091db730233e070ee59fe441d0bdcfdf01f0174533deff7f09222054','79c99a65b1cf428cdacf994246bd111c79c4f53e8e31af99abc6ef31c9bd2075');
INSERT INTO "ratchet_events" VALUES('churn',4,'2026-11-21T02:00:01.000000Z','alert_queued',NULL,'{"channel":"slack","key":"k1","occasion":"failed"}','79c99a65b1cf428cdacf994246bd111c79c4f53e8e31af99abc6ef31c9bd2075','3e0735731a23e717e36b4f7fec10665f063cc9a25b59ea5b08c17cc56624a449');
INSERT INTO "ratchet_events" VALUES('churn',5,'2026-11-21T02:00:02.000000Z','run_started','20261121-030000-bbbb','{"trigger":"manual","trigger_key":null}','3e0735731a23e717e36b4f7fec10665f063cc9a25b59ea5b08c17cc56624a449','2d7ba2db3224ef32454b624eb180b23a11b802af7188fd12fb51a8b7a6f0afb7');
INSERT INTO "ratchet_events" VALUES('churn',6,'2026-11-21T02:00:02.000000Z','holdout_used','20261121-030000-bbbb','{"sketch":["0020000000000000","0060000000000000","00a0000000000000","00e0000000000000","0120000000000000","0160000000000000","01a0000000000000","01e0000000000000"]}','2d7ba2db3224ef32454b624eb180b23a11b802af7188fd12fb51a8b7a6f0afb7','29f6a4b6a825d42b1e134f322dc10a661ba90e8395b8d7abab2462e5bfbce8b0');
CREATE TABLE ratchet_gates (
        project TEXT NOT NULL, run_id TEXT NOT NULL, position INTEGER NOT NULL, name TEXT NOT NULL,
        value DOUBLE PRECISION, threshold DOUBLE PRECISION, passed BOOLEAN NOT NULL,
        reason TEXT NOT NULL, origin TEXT NOT NULL,
        PRIMARY KEY (project, run_id, position));
CREATE TABLE ratchet_leases (
        project TEXT PRIMARY KEY, token TEXT NOT NULL, machine TEXT NOT NULL, host TEXT NOT NULL,
        pid BIGINT NOT NULL, process_started TEXT, purpose TEXT NOT NULL,
        since VARCHAR(27) NOT NULL, heartbeat VARCHAR(27) NOT NULL, expires VARCHAR(27) NOT NULL);
CREATE TABLE ratchet_metrics (
        project TEXT NOT NULL, run_id TEXT NOT NULL, candidate TEXT NOT NULL, split TEXT NOT NULL,
        metric TEXT NOT NULL, algorithm TEXT NOT NULL, value DOUBLE PRECISION,
        low DOUBLE PRECISION, high DOUBLE PRECISION, std DOUBLE PRECISION,
        PRIMARY KEY (project, run_id, candidate, split, metric));
CREATE TABLE ratchet_outbox (
        project TEXT NOT NULL, key TEXT NOT NULL, channel TEXT NOT NULL, occasion TEXT NOT NULL,
        run_id TEXT, body TEXT NOT NULL, status TEXT NOT NULL, attempts INTEGER NOT NULL,
        created VARCHAR(27) NOT NULL, due VARCHAR(27) NOT NULL, claimed_until VARCHAR(27),
        delivered VARCHAR(27), last_error TEXT NOT NULL,
        PRIMARY KEY (project, key));
INSERT INTO "ratchet_outbox" VALUES('churn','k1','slack','failed',NULL,'{}','waiting',0,'2026-11-21T02:00:01.000000Z','2026-11-21T02:00:01.000000Z',NULL,NULL,'');
CREATE TABLE ratchet_runs (
        project TEXT NOT NULL, run_id TEXT NOT NULL, seq BIGINT NOT NULL, trigger TEXT NOT NULL,
        trigger_key TEXT, status TEXT NOT NULL, outcome TEXT, reason TEXT NOT NULL,
        attempts INTEGER NOT NULL, inputs_key TEXT, config_digest TEXT,
        snapshot_version BIGINT, snapshot_digest TEXT,
        started VARCHAR(27) NOT NULL, finished VARCHAR(27), seconds DOUBLE PRECISION,
        summary TEXT NOT NULL,
        PRIMARY KEY (project, run_id),
        CONSTRAINT ratchet_one_run_per_trigger UNIQUE (project, trigger_key));
INSERT INTO "ratchet_runs" VALUES('churn','20261121-020000-aaaa',1,'manual',NULL,'finished','rejected','not proven better',1,NULL,NULL,NULL,NULL,'2026-11-21T02:00:01.000000Z','2026-11-21T02:00:01.000000Z',0.0,'{}');
INSERT INTO "ratchet_runs" VALUES('churn','20261121-030000-bbbb',5,'manual',NULL,'running',NULL,'',1,NULL,NULL,NULL,NULL,'2026-11-21T02:00:02.000000Z',NULL,NULL,'{}');
CREATE TABLE ratchet_schema (
	version INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	applied VARCHAR(27) NOT NULL, 
	PRIMARY KEY (version)
);
INSERT INTO "ratchet_schema" VALUES(1,'runs, events, versions, deployments, leases','2026-11-21T02:00:00.000000Z');
INSERT INTO "ratchet_schema" VALUES(2,'alerts that wait to be delivered','2026-11-21T02:00:00.000000Z');
CREATE TABLE ratchet_steps (
        project TEXT NOT NULL, run_id TEXT NOT NULL, name TEXT NOT NULL, seq BIGINT NOT NULL,
        status TEXT NOT NULL, key TEXT, output_digest TEXT, folder TEXT, started VARCHAR(27),
        recorded VARCHAR(27) NOT NULL, seconds DOUBLE PRECISION, cached BOOLEAN NOT NULL,
        attempts INTEGER NOT NULL, error TEXT,
        PRIMARY KEY (project, run_id, name));
CREATE TABLE ratchet_versions (
        project TEXT NOT NULL, version INTEGER NOT NULL, run_id TEXT NOT NULL,
        bundle_digest TEXT NOT NULL, bundle_path TEXT NOT NULL, status TEXT NOT NULL,
        mlflow_version TEXT, threshold DOUBLE PRECISION, schema_digest TEXT,
        created VARCHAR(27) NOT NULL,
        PRIMARY KEY (project, version),
        CONSTRAINT ratchet_one_version_per_bundle UNIQUE (project, run_id, bundle_digest));
CREATE INDEX ratchet_events_by_kind ON ratchet_events (project, kind);
CREATE INDEX ratchet_events_by_run ON ratchet_events (project, run_id);
CREATE INDEX ratchet_runs_by_seq ON ratchet_runs (project, seq);
CREATE INDEX ratchet_runs_by_inputs ON ratchet_runs (project, inputs_key);
CREATE INDEX ratchet_steps_by_key ON ratchet_steps (project, key);
CREATE INDEX ratchet_metrics_by_name ON ratchet_metrics (project, metric);
CREATE INDEX ratchet_deployments_by_alias ON ratchet_deployments (project, alias, seq);
CREATE INDEX ratchet_outbox_by_due ON ratchet_outbox (project, status, due);
COMMIT;
