-- flowsmith migration 20261121120000_examples
--
-- + catalog_etl@1  new flow, 7 steps, 1 trigger  [safe]  (flows/catalog_etl.yaml)
--     trigger nightly: cron 0 2 * * *
-- + invoice_reminders@1  new flow, 5 steps, 1 trigger  [safe]  (flows/invoice_reminders.toml)
--     trigger workdays: cron 30 7 * * mon-fri
-- + order_fulfilment@2  new version, 7 steps, 1 trigger  [safe]  (flows/order_fulfilment.yaml)
--     trigger imported: queue pgq:order_imports
-- + signup@1  new flow, 2 steps  [safe]  (flows/signup.yaml)
-- + signup@2  new version, 3 steps, 1 trigger  [safe]  (flows/signup.yaml)
--     trigger sweep: queue pgq:account_sync
--
-- Project default; requires engine level 0.14 or later.
--
-- Apply it with `flowsmith apply`, `psql -1 -f` or another migration tool. It runs in one transaction; running it again has
-- no effect. Written by `flowsmith compile`; an edited file is refused.
do $flowsmith$
declare
  plan constant pg_catalog.text := $plan$
{
  "format": 1,
  "version": "20261121120000",
  "name": "examples",
  "project": "default",
  "environment": null,
  "layout": "flowsmith",
  "engine": "0.14",
  "flows": [
    {
      "flow": "catalog_etl",
      "base": null,
      "result": "95887490f12c43874b21961cd62bebf32ae1e7d7fcc365e15e16a85e375fc59c",
      "changes": [
        {
          "change": "create",
          "class": "safe",
          "version": 1,
          "state": "current",
          "file": "flows/catalog_etl.yaml",
          "digest": "d1c1e5adc1e0b21121c735796341a55aa08275b89f679574dd5d0ec1e2831768",
          "definition": {
            "description": "Loads the suppliers' catalogues; the run's input is the list of files",
            "owner": "data",
            "labels": {"domain": "catalogue", "kind": "etl"},
            "input": {"items": {"type": "string"}, "type": "array"},
            "options": {"base_delay": 10, "timeout": 900},
            "steps": [
              {
                "slug": "download",
                "handler": {"exec": ["catalog", "download"]},
                "kind": "map",
                "when_exhausted": "skip",
                "max_attempts": 6
              },
              {"slug": "parse", "handler": {"exec": ["catalog", "parse"]}, "kind": "map", "depends_on": ["download"]},
              {
                "slug": "merge",
                "handler": {"sql": "select catalog.merge(:input)"},
                "depends_on": ["parse"],
                "output": {"type": "object"}
              },
              {
                "slug": "quality",
                "handler": {"sql": "select catalog.assert_quality(:input)"},
                "depends_on": ["merge"],
                "forbidden_input_pattern": {"merge": {"rows": 0}},
                "when_unmet": "fail"
              },
              {"slug": "publish", "handler": {"sql": "select catalog.publish(:input)"}, "depends_on": ["quality"]},
              {
                "slug": "warm_cache",
                "handler": {"http": "https://shop.example.com/internal/warm"},
                "depends_on": ["publish"],
                "when_exhausted": "skip-cascade"
              },
              {
                "slug": "announce",
                "handler": {"http": "https://chat.example.com/hooks/catalogue"},
                "depends_on": ["warm_cache"]
              }
            ],
            "triggers": [
              {
                "name": "nightly",
                "source": {"cron": {"schedule": "0 2 * * *", "input": ["acme.csv", "globex.csv", "initech.csv"]}}
              }
            ]
          }
        }
      ]
    },
    {
      "flow": "invoice_reminders",
      "base": null,
      "result": "7c0061d38dffdb3a77d916951ca52b4737b3e30b9f6c82c6191fd08eab08a264",
      "changes": [
        {
          "change": "create",
          "class": "safe",
          "version": 1,
          "state": "current",
          "file": "flows/invoice_reminders.toml",
          "digest": "4b677a3778bba942a53d86cad536f4b627dc5550fa7cd0d51f65a4ec03591836",
          "definition": {
            "description": "Reminds customers of unpaid invoices, and hands the case over when reminding does not help",
            "owner": "billing",
            "labels": {"domain": "billing"},
            "input": {
              "properties": {"as_of_days": {"minimum": 1, "type": "integer"}},
              "required": ["as_of_days"],
              "type": "object"
            },
            "options": {"max_attempts": 5, "base_delay": 30},
            "steps": [
              {"slug": "overdue", "handler": {"sql": "select billing.overdue(:input)"}, "output": {"type": "array"}},
              {
                "slug": "remind",
                "handler": {"http": "https://mail.example.com/reminders"},
                "kind": "map",
                "depends_on": ["overdue"],
                "timeout": 120
              },
              {
                "slug": "report",
                "handler": {"sql": "select billing.report_reminders(:input)"},
                "depends_on": ["overdue", "remind"],
                "when_exhausted": "skip"
              },
              {
                "slug": "hand_over",
                "handler": {"exec": ["billing-cases", "open", "--from-stdin"]},
                "depends_on": ["report"],
                "required_input_pattern": {"report": {"unanswered": true}},
                "when_unmet": "skip-cascade",
                "start_delay": 604800
              },
              {"slug": "archive", "handler": {"sql": "select billing.archive(:input)"}, "depends_on": ["hand_over"]}
            ],
            "triggers": [
              {"name": "workdays", "source": {"cron": {"schedule": "30 7 * * mon-fri", "input": {"as_of_days": 14}}}}
            ]
          }
        }
      ]
    },
    {
      "flow": "order_fulfilment",
      "base": null,
      "result": "7a36fa833ee535a87574ab5ec8a3bf7b55cba407877a5ce4dfcbf0662f91bc22",
      "changes": [
        {
          "change": "create",
          "class": "safe",
          "version": 2,
          "state": "current",
          "file": "flows/order_fulfilment.yaml",
          "digest": "53ce2ad18f57744c0689113ebbc7a947ccb013f47e90782e2c091a3253a27d14",
          "definition": {
            "description": "Charge, reserve and ship one order",
            "owner": "payments",
            "labels": {"domain": "shop", "tier": "critical"},
            "input": {
              "properties": {
                "order_id": {"minimum": 1, "type": "integer"},
                "plan": {"enum": ["basic", "premium"]},
                "source": {"type": "string"}
              },
              "required": ["order_id", "plan"],
              "type": "object"
            },
            "options": {"max_attempts": 4, "base_delay": 2, "timeout": 90},
            "steps": [
              {
                "slug": "load",
                "handler": {"sql": "select shop.load_order(:input)"},
                "output": {
                  "properties": {"flagged": {"type": "boolean"}, "items": {"type": "array"}},
                  "required": ["items", "flagged"],
                  "type": "object"
                }
              },
              {
                "slug": "perks",
                "handler": {"sql": "select shop.add_gift(:input)"},
                "required_input_pattern": {"plan": "premium"},
                "forbidden_input_pattern": {"source": "import"}
              },
              {
                "slug": "items",
                "handler": {"sql": "select :input->'load'->'items'"},
                "depends_on": ["load"],
                "output": {"items": {"type": "object"}, "type": "array"}
              },
              {
                "slug": "reserve",
                "handler": {"http": "https://stock.example.com/reserve"},
                "kind": "map",
                "depends_on": ["items"],
                "max_attempts": 6
              },
              {
                "slug": "review",
                "handler": {"exec": ["python3", "-m", "shop.review"]},
                "depends_on": ["load"],
                "required_input_pattern": {"load": {"flagged": true}},
                "timeout": 600
              },
              {
                "slug": "ship",
                "handler": {"http": "https://carrier.example.com/shipments"},
                "depends_on": ["reserve", "review"]
              },
              {
                "slug": "survey",
                "handler": {"exec": "python3 -m shop.survey --send"},
                "depends_on": ["ship"],
                "when_exhausted": "skip",
                "start_delay": 259200
              }
            ],
            "triggers": [
              {
                "name": "imported",
                "source": {
                  "queue": {
                    "kind": "pgq",
                    "queue": "order_imports",
                    "input_sql": "event.data || '{\"source\": \"import\"}'"
                  }
                }
              }
            ]
          }
        }
      ]
    },
    {
      "flow": "signup",
      "base": null,
      "result": "8cbe2f00c83a299ec23ef316d9a68b1ebca0f2bdb84d59b6c3232c160d7a1158",
      "changes": [
        {
          "change": "create",
          "class": "safe",
          "version": 1,
          "state": "draining",
          "file": "flows/signup.yaml",
          "digest": "3e6b3c04d006a49e9bcb8f4657913e3da2ca6f0bd05d1c139525ce62c9cc7630",
          "definition": {
            "description": "Welcomes a new account",
            "owner": "growth",
            "steps": [
              {"slug": "verify_address"},
              {"slug": "welcome", "depends_on": ["verify_address"]}
            ]
          }
        },
        {
          "change": "create",
          "class": "safe",
          "version": 2,
          "state": "current",
          "file": "flows/signup.yaml",
          "digest": "70783ccd279484cc190d902c51f8e202e75b0d9db736350a5b27720103e48bbb",
          "definition": {
            "description": "Welcomes a new account, and follows up after a week",
            "owner": "growth",
            "input": {"required": ["account_id"], "type": "object"},
            "steps": [
              {"slug": "verify_address", "max_attempts": 1, "timeout": 30},
              {"slug": "welcome", "depends_on": ["verify_address"]},
              {
                "slug": "follow_up",
                "depends_on": ["verify_address", "welcome"],
                "required_input_pattern": {"verify_address": {"verified": true}},
                "start_delay": 604800
              }
            ],
            "triggers": [
              {
                "name": "sweep",
                "description": "Accounts that another system made",
                "source": {"queue": {"kind": "pgq", "queue": "account_sync"}}
              }
            ]
          }
        }
      ]
    }
  ]
}
$plan$;
  caller_path constant pg_catalog.text := pg_catalog.current_setting('search_path');
  caller_settings pg_catalog.jsonb;
begin
  perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  if to_regprocedure('flowsmith.begin_migration(text)') is null then
    raise exception 'the schema flowsmith is not installed in this database'
      using errcode = 'FL001', hint = 'Run `flowsmith install` first.';
  end if;
  caller_settings := flowsmith.pin_settings();
  if flowsmith.begin_migration(plan) then
    -- flowsmith's own engine creates the flows from the plan; in an official engine, these calls create them.
    if not flowsmith.create_flows(plan) then
      perform pgflow.create_flow(
        flow_slug => f.flow_slug, max_attempts => f.max_attempts, base_delay => f.base_delay, timeout => f.timeout)
      from flowsmith.planned_flows(plan) f;
      perform pgflow.add_step(
        flow_slug => s.flow_slug, step_slug => s.step_slug, deps_slugs => s.depends_on, step_type => s.kind,
        required_input_pattern => s.required_input_pattern, forbidden_input_pattern => s.forbidden_input_pattern,
        when_unmet => s.when_unmet, when_exhausted => s.when_exhausted,
        max_attempts => s.max_attempts, base_delay => s.base_delay, timeout => s.timeout, start_delay => s.start_delay)
      from flowsmith.planned_steps(plan) s;
    end if;
    perform flowsmith.end_migration(plan);
    -- Create, change and drop triggers to match the current versions of these flows.
    perform flowsmith.sync_triggers(flowsmith.planned_triggers(plan));
  end if;
  perform flowsmith.restore_settings(caller_settings);
  perform set_config('search_path', caller_path, true);
end
$flowsmith$;
