-- A ledger as schema version 3 wrote it: nobody had an API key yet.
BEGIN TRANSACTION;
CREATE TABLE ratchet_candidates (
        project TEXT NOT NULL, run_id TEXT NOT NULL, candidate TEXT NOT NULL,
        algorithm TEXT NOT NULL, best BOOLEAN NOT NULL, params TEXT NOT NULL,
        seconds DOUBLE PRECISION, error TEXT,
        PRIMARY KEY (project, run_id, candidate));
CREATE TABLE ratchet_chains (
        project TEXT PRIMARY KEY, seq BIGINT NOT NULL, at VARCHAR(27), hash VARCHAR(64) NOT NULL);
INSERT INTO "ratchet_chains" VALUES('churn',6,'2026-11-21T02:00:07.000000Z','59e086d049d6b43805254e5af9f9fe43f7553eff22d875efd94b97c2882806e8');
CREATE TABLE ratchet_deployments (
        project TEXT NOT NULL, seq BIGINT NOT NULL, at VARCHAR(27) NOT NULL, alias TEXT NOT NULL,
        action TEXT NOT NULL, version INTEGER, previous_version INTEGER, by TEXT NOT NULL,
        reason TEXT NOT NULL, run_id TEXT, promotes_run TEXT, forced BOOLEAN NOT NULL,
        traffic TEXT NOT NULL, threshold DOUBLE PRECISION, schema_digest TEXT,
        PRIMARY KEY (project, seq),
        CONSTRAINT ratchet_one_promotion_per_run UNIQUE (project, promotes_run));
INSERT INTO "ratchet_deployments" VALUES('churn',5,'2026-11-21T02:00:06.000000Z','champion','promote',1,NULL,'run','first','20261121-020000-aaaa','20261121-020000-aaaa',0,'{"1":100.0}',0.5,NULL);
CREATE TABLE ratchet_events (
        project TEXT NOT NULL, seq BIGINT NOT NULL, at VARCHAR(27) NOT NULL, kind TEXT NOT NULL,
        run_id TEXT, facts TEXT NOT NULL, previous VARCHAR(64) NOT NULL, hash VARCHAR(64) NOT NULL,
        PRIMARY KEY (project, seq));
INSERT INTO "ratchet_events" VALUES('churn',1,'2026-11-21T02:00:02.000000Z','run_started','20261121-020000-aaaa','{"trigger":"manual","trigger_key":null}','','39f924e3492070a6ea9cd1b0c9fabc97b771edfed1b118d7208826d206d93803');
INSERT INTO "ratchet_events" VALUES('churn',2,'2026-11-21T02:00:03.000000Z','gates_recorded','20261121-020000-aaaa','{"gates":[{"name":"minimum.roc_auc","origin":"","passed":true,"reason":"","threshold":0.75,"value":0.84}],"passed":true}','39f924e3492070a6ea9cd1b0c9fabc97b771edfed1b118d7208826d206d93803','5e818960d80e9239d82c1970b0cfc7d654e7302087c15879ab00ccc16ba1112d');
INSERT INTO "ratchet_events" VALUES('churn',3,'2026-11-21T02:00:04.000000Z','holdout_noted','20261121-020000-aaaa','{"challenger":"retune","champion":0,"comparison":"c","first":null,"holdout_id":"b88457443055","last":null,"metric":"roc_auc","rows":3,"rule":"unseen","sketch":"b8845744305563351cf3777ed1aba28b87b428b06b433acdd9308adc3adecb05","use":1}','5e818960d80e9239d82c1970b0cfc7d654e7302087c15879ab00ccc16ba1112d','d2bedd8fab2a017e73614ea77e8b8aeb320497146b226e4956f688ac06ec3f40');
INSERT INTO "ratchet_events" VALUES('churn',4,'2026-11-21T02:00:05.000000Z','version_added','20261121-020000-aaaa','{"bundle_digest":"b1","schema_digest":null,"status":"candidate","threshold":0.5,"version":1}','d2bedd8fab2a017e73614ea77e8b8aeb320497146b226e4956f688ac06ec3f40','3c1815f929b204eb4ced3cedd5e79cda04fe6092f3708218fff0331f9b8638f8');
INSERT INTO "ratchet_events" VALUES('churn',5,'2026-11-21T02:00:06.000000Z','deployed','20261121-020000-aaaa','{"action":"promote","alias":"champion","by":"run","forced":false,"previous_version":null,"reason":"first","schema_digest":null,"threshold":0.5,"traffic":{"1":100.0},"version":1}','3c1815f929b204eb4ced3cedd5e79cda04fe6092f3708218fff0331f9b8638f8','60bc176cfe59df457548857e95c86b597efa0afd7a87010fbd523da168769292');
INSERT INTO "ratchet_events" VALUES('churn',6,'2026-11-21T02:00:07.000000Z','run_finished','20261121-020000-aaaa','{"outcome":"promoted","reason":"first","seconds":5.0}','60bc176cfe59df457548857e95c86b597efa0afd7a87010fbd523da168769292','59e086d049d6b43805254e5af9f9fe43f7553eff22d875efd94b97c2882806e8');
CREATE TABLE ratchet_gates (
        project TEXT NOT NULL, run_id TEXT NOT NULL, position INTEGER NOT NULL, name TEXT NOT NULL,
        value DOUBLE PRECISION, threshold DOUBLE PRECISION, passed BOOLEAN NOT NULL,
        reason TEXT NOT NULL, origin TEXT NOT NULL,
        PRIMARY KEY (project, run_id, position));
INSERT INTO "ratchet_gates" VALUES('churn','20261121-020000-aaaa',0,'minimum.roc_auc',0.84,0.75,1,'','');
CREATE TABLE ratchet_holdout_uses (
        project TEXT NOT NULL, run_id TEXT NOT NULL, challenger TEXT NOT NULL,
        seq BIGINT NOT NULL, at VARCHAR(27) NOT NULL, holdout_id TEXT NOT NULL,
        use INTEGER NOT NULL, comparison TEXT NOT NULL, champion INTEGER NOT NULL,
        metric TEXT NOT NULL, rule TEXT NOT NULL, rows BIGINT NOT NULL, first TEXT, last TEXT,
        sketch TEXT NOT NULL, difference DOUBLE PRECISION, se DOUBLE PRECISION,
        level DOUBLE PRECISION, verdict TEXT, passed BOOLEAN, shown DOUBLE PRECISION,
        shown_to TEXT, judged VARCHAR(27),
        PRIMARY KEY (project, run_id, challenger),
        CONSTRAINT ratchet_one_use_per_comparison UNIQUE (project, comparison));
INSERT INTO "ratchet_holdout_uses" VALUES('churn','20261121-020000-aaaa','retune',3,'2026-11-21T02:00:04.000000Z','b88457443055',1,'c',0,'roc_auc','unseen',3,NULL,NULL,'["0000000000000001","0000000000000002","0000000000000003"]',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
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
CREATE TABLE ratchet_runs (
        project TEXT NOT NULL, run_id TEXT NOT NULL, seq BIGINT NOT NULL, trigger TEXT NOT NULL,
        trigger_key TEXT, status TEXT NOT NULL, outcome TEXT, reason TEXT NOT NULL,
        attempts INTEGER NOT NULL, inputs_key TEXT, config_digest TEXT,
        snapshot_version BIGINT, snapshot_digest TEXT,
        started VARCHAR(27) NOT NULL, finished VARCHAR(27), seconds DOUBLE PRECISION,
        summary TEXT NOT NULL,
        PRIMARY KEY (project, run_id),
        CONSTRAINT ratchet_one_run_per_trigger UNIQUE (project, trigger_key));
INSERT INTO "ratchet_runs" VALUES('churn','20261121-020000-aaaa',1,'manual',NULL,'finished','promoted','first',1,NULL,NULL,NULL,NULL,'2026-11-21T02:00:02.000000Z','2026-11-21T02:00:07.000000Z',5.0,'{}');
CREATE TABLE ratchet_schema (
	version INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	applied VARCHAR(27) NOT NULL, 
	PRIMARY KEY (version)
);
INSERT INTO "ratchet_schema" VALUES(1,'runs, events, versions, deployments, leases','2026-11-21T02:00:01.000000Z');
INSERT INTO "ratchet_schema" VALUES(2,'alerts that wait to be delivered','2026-11-21T02:00:01.000000Z');
INSERT INTO "ratchet_schema" VALUES(3,'decisions on test rows','2026-11-21T02:00:01.000000Z');
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
INSERT INTO "ratchet_versions" VALUES('churn',1,'20261121-020000-aaaa','b1','bundles/1','champion',NULL,0.5,NULL,'2026-11-21T02:00:05.000000Z');
CREATE INDEX ratchet_events_by_kind ON ratchet_events (project, kind);
CREATE INDEX ratchet_events_by_run ON ratchet_events (project, run_id);
CREATE INDEX ratchet_runs_by_seq ON ratchet_runs (project, seq);
CREATE INDEX ratchet_runs_by_inputs ON ratchet_runs (project, inputs_key);
CREATE INDEX ratchet_steps_by_key ON ratchet_steps (project, key);
CREATE INDEX ratchet_metrics_by_name ON ratchet_metrics (project, metric);
CREATE INDEX ratchet_deployments_by_alias ON ratchet_deployments (project, alias, seq);
CREATE INDEX ratchet_outbox_by_due ON ratchet_outbox (project, status, due);
CREATE INDEX ratchet_holdout_uses_by_seq ON ratchet_holdout_uses (project, seq);
COMMIT;
