-- A ledger as schema version 1 wrote it, before alerts were kept in it.
BEGIN TRANSACTION;
CREATE TABLE ratchet_candidates (
        project TEXT NOT NULL, run_id TEXT NOT NULL, candidate TEXT NOT NULL,
        algorithm TEXT NOT NULL, best BOOLEAN NOT NULL, params TEXT NOT NULL,
        seconds DOUBLE PRECISION, error TEXT,
        PRIMARY KEY (project, run_id, candidate));
INSERT INTO "ratchet_candidates" VALUES('churn','20261121-020000-aaaa','lightgbm','lightgbm',1,'{"num_leaves":31}',1.5,NULL);
CREATE TABLE ratchet_chains (
        project TEXT PRIMARY KEY, seq BIGINT NOT NULL, at VARCHAR(27), hash VARCHAR(64) NOT NULL);
INSERT INTO "ratchet_chains" VALUES('churn',8,'2026-11-21T02:00:09.000000Z','4bee34bab0d11f9be94e3b3a08fbe85a1b2c0a2c31e83f76c886c5915b40230c');
CREATE TABLE ratchet_deployments (
        project TEXT NOT NULL, seq BIGINT NOT NULL, at VARCHAR(27) NOT NULL, alias TEXT NOT NULL,
        action TEXT NOT NULL, version INTEGER, previous_version INTEGER, by TEXT NOT NULL,
        reason TEXT NOT NULL, run_id TEXT, promotes_run TEXT, forced BOOLEAN NOT NULL,
        traffic TEXT NOT NULL, threshold DOUBLE PRECISION, schema_digest TEXT,
        PRIMARY KEY (project, seq),
        CONSTRAINT ratchet_one_promotion_per_run UNIQUE (project, promotes_run));
INSERT INTO "ratchet_deployments" VALUES('churn',6,'2026-11-21T02:00:07.000000Z','champion','promote',1,NULL,'run','first model','20261121-020000-aaaa','20261121-020000-aaaa',0,'{"1":100.0}',0.5,NULL);
CREATE TABLE ratchet_events (
        project TEXT NOT NULL, seq BIGINT NOT NULL, at VARCHAR(27) NOT NULL, kind TEXT NOT NULL,
        run_id TEXT, facts TEXT NOT NULL, previous VARCHAR(64) NOT NULL, hash VARCHAR(64) NOT NULL,
        PRIMARY KEY (project, seq));
INSERT INTO "ratchet_events" VALUES('churn',1,'2026-11-21T02:00:02.000000Z','run_started','20261121-020000-aaaa','{"config_digest":"c1","inputs_key":"k1","snapshot_digest":"d1","snapshot_version":0,"trigger":"manual","trigger_key":null}','','8f54d6c0206cf588b4d796d8b2b2d114383153a6c1967c9222411141998f6fe6');
INSERT INTO "ratchet_events" VALUES('churn',2,'2026-11-21T02:00:03.000000Z','step_finished','20261121-020000-aaaa','{"attempts":1,"cached":false,"folder":"runs/a/train","key":"step-key","status":"finished","step":"train"}','8f54d6c0206cf588b4d796d8b2b2d114383153a6c1967c9222411141998f6fe6','fdcca6f96f1fe1ea99e6d3f5e8a924f8ac0400929be1096db720136476b39e98');
INSERT INTO "ratchet_events" VALUES('churn',3,'2026-11-21T02:00:04.000000Z','candidates_recorded','20261121-020000-aaaa','{"candidates":[{"algorithm":"lightgbm","best":true,"candidate":"lightgbm","metrics":{"test.roc_auc":0.84}}]}','fdcca6f96f1fe1ea99e6d3f5e8a924f8ac0400929be1096db720136476b39e98','55917a73a933fba0569f303442e248f6c2e094e189e7dedd9d472d2013e977b5');
INSERT INTO "ratchet_events" VALUES('churn',4,'2026-11-21T02:00:05.000000Z','gates_recorded','20261121-020000-aaaa','{"gates":[{"name":"minimum.roc_auc","origin":"ratchet.yaml:9","passed":true,"reason":"above","threshold":0.75,"value":0.84}],"passed":true}','55917a73a933fba0569f303442e248f6c2e094e189e7dedd9d472d2013e977b5','9768aab677ae83d667feaeb2914c3b4746caec877c926c2e1287dd126b524999');
INSERT INTO "ratchet_events" VALUES('churn',5,'2026-11-21T02:00:06.000000Z','version_added','20261121-020000-aaaa','{"bundle_digest":"b1","schema_digest":null,"status":"candidate","threshold":0.5,"version":1}','9768aab677ae83d667feaeb2914c3b4746caec877c926c2e1287dd126b524999','c194a39782afd496db825fba7d8c8c6a52b9b9b5e09f44e0d3b78989495533d7');
INSERT INTO "ratchet_events" VALUES('churn',6,'2026-11-21T02:00:07.000000Z','deployed','20261121-020000-aaaa','{"action":"promote","alias":"champion","by":"run","forced":false,"previous_version":null,"reason":"first model","schema_digest":null,"threshold":0.5,"traffic":{"1":100.0},"version":1}','c194a39782afd496db825fba7d8c8c6a52b9b9b5e09f44e0d3b78989495533d7','23372957f21cf0846497991dae44d192d557bb1c6c0dc2938d17c4eb403aa85f');
INSERT INTO "ratchet_events" VALUES('churn',7,'2026-11-21T02:00:08.000000Z','run_finished','20261121-020000-aaaa','{"outcome":"promoted","reason":"first model","seconds":6.0}','23372957f21cf0846497991dae44d192d557bb1c6c0dc2938d17c4eb403aa85f','b7d3dd11799d037957b7612ba6201742937cd0205db6514ec92bc4ccd66b48cf');
INSERT INTO "ratchet_events" VALUES('churn',8,'2026-11-21T02:00:09.000000Z','run_started','20261121-030000-bbbb','{"trigger":"manual","trigger_key":null}','b7d3dd11799d037957b7612ba6201742937cd0205db6514ec92bc4ccd66b48cf','4bee34bab0d11f9be94e3b3a08fbe85a1b2c0a2c31e83f76c886c5915b40230c');
CREATE TABLE ratchet_gates (
        project TEXT NOT NULL, run_id TEXT NOT NULL, position INTEGER NOT NULL, name TEXT NOT NULL,
        value DOUBLE PRECISION, threshold DOUBLE PRECISION, passed BOOLEAN NOT NULL,
        reason TEXT NOT NULL, origin TEXT NOT NULL,
        PRIMARY KEY (project, run_id, position));
INSERT INTO "ratchet_gates" VALUES('churn','20261121-020000-aaaa',0,'minimum.roc_auc',0.84,0.75,1,'above','ratchet.yaml:9');
CREATE TABLE ratchet_leases (
        project TEXT PRIMARY KEY, token TEXT NOT NULL, machine TEXT NOT NULL, host TEXT NOT NULL,
        pid BIGINT NOT NULL, process_started TEXT, purpose TEXT NOT NULL,
        since VARCHAR(27) NOT NULL, heartbeat VARCHAR(27) NOT NULL, expires VARCHAR(27) NOT NULL);
CREATE TABLE ratchet_metrics (
        project TEXT NOT NULL, run_id TEXT NOT NULL, candidate TEXT NOT NULL, split TEXT NOT NULL,
        metric TEXT NOT NULL, algorithm TEXT NOT NULL, value DOUBLE PRECISION,
        low DOUBLE PRECISION, high DOUBLE PRECISION, std DOUBLE PRECISION,
        PRIMARY KEY (project, run_id, candidate, split, metric));
INSERT INTO "ratchet_metrics" VALUES('churn','20261121-020000-aaaa','lightgbm','test','roc_auc','lightgbm',0.84,0.81,0.87,NULL);
CREATE TABLE ratchet_runs (
        project TEXT NOT NULL, run_id TEXT NOT NULL, seq BIGINT NOT NULL, trigger TEXT NOT NULL,
        trigger_key TEXT, status TEXT NOT NULL, outcome TEXT, reason TEXT NOT NULL,
        attempts INTEGER NOT NULL, inputs_key TEXT, config_digest TEXT,
        snapshot_version BIGINT, snapshot_digest TEXT,
        started VARCHAR(27) NOT NULL, finished VARCHAR(27), seconds DOUBLE PRECISION,
        summary TEXT NOT NULL,
        PRIMARY KEY (project, run_id),
        CONSTRAINT ratchet_one_run_per_trigger UNIQUE (project, trigger_key));
INSERT INTO "ratchet_runs" VALUES('churn','20261121-020000-aaaa',1,'manual',NULL,'finished','promoted','first model',1,'k1','c1',0,'d1','2026-11-21T02:00:02.000000Z','2026-11-21T02:00:08.000000Z',6.0,'{}');
INSERT INTO "ratchet_runs" VALUES('churn','20261121-030000-bbbb',8,'manual',NULL,'running',NULL,'',1,NULL,NULL,NULL,NULL,'2026-11-21T02:00:09.000000Z',NULL,NULL,'{}');
CREATE TABLE ratchet_schema (
	version INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	applied VARCHAR(27) NOT NULL, 
	PRIMARY KEY (version)
);
INSERT INTO "ratchet_schema" VALUES(1,'runs, events, versions, deployments, leases','2026-11-21T02:00:01.000000Z');
CREATE TABLE ratchet_steps (
        project TEXT NOT NULL, run_id TEXT NOT NULL, name TEXT NOT NULL, seq BIGINT NOT NULL,
        status TEXT NOT NULL, key TEXT, output_digest TEXT, folder TEXT, started VARCHAR(27),
        recorded VARCHAR(27) NOT NULL, seconds DOUBLE PRECISION, cached BOOLEAN NOT NULL,
        attempts INTEGER NOT NULL, error TEXT,
        PRIMARY KEY (project, run_id, name));
INSERT INTO "ratchet_steps" VALUES('churn','20261121-020000-aaaa','train',2,'finished','step-key',NULL,'runs/a/train',NULL,'2026-11-21T02:00:03.000000Z',NULL,0,1,NULL);
CREATE TABLE ratchet_versions (
        project TEXT NOT NULL, version INTEGER NOT NULL, run_id TEXT NOT NULL,
        bundle_digest TEXT NOT NULL, bundle_path TEXT NOT NULL, status TEXT NOT NULL,
        mlflow_version TEXT, threshold DOUBLE PRECISION, schema_digest TEXT,
        created VARCHAR(27) NOT NULL,
        PRIMARY KEY (project, version),
        CONSTRAINT ratchet_one_version_per_bundle UNIQUE (project, run_id, bundle_digest));
INSERT INTO "ratchet_versions" VALUES('churn',1,'20261121-020000-aaaa','b1','bundles/1','champion',NULL,0.5,NULL,'2026-11-21T02:00:06.000000Z');
CREATE INDEX ratchet_events_by_kind ON ratchet_events (project, kind);
CREATE INDEX ratchet_events_by_run ON ratchet_events (project, run_id);
CREATE INDEX ratchet_runs_by_seq ON ratchet_runs (project, seq);
CREATE INDEX ratchet_runs_by_inputs ON ratchet_runs (project, inputs_key);
CREATE INDEX ratchet_steps_by_key ON ratchet_steps (project, key);
CREATE INDEX ratchet_metrics_by_name ON ratchet_metrics (project, metric);
CREATE INDEX ratchet_deployments_by_alias ON ratchet_deployments (project, alias, seq);
COMMIT;
