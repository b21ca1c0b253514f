//! Names and states for flows that flowsmith did not create.

use std::collections::BTreeMap;

use flowsmith_core::catalog::{Catalog, Flow, FlowId, State};

/// A live catalog in which every flow is recorded. Unrecorded flows get a name ([`infer_versions`]) and a state: current for
/// the highest version of a flow, draining for the others.
pub fn adopt(live: &Catalog) -> Catalog {
    let named = infer_versions(live);
    let mut newest = BTreeMap::new();
    for (_, flow) in named.iter().filter(|(_, flow)| flow.state != State::Retired) {
        let version = newest.entry(flow.id.slug.clone()).or_insert(flow.id.version);
        *version = flow.id.version.max(*version);
    }
    named
        .iter()
        .map(|(_, flow)| {
            let mut flow = Flow::clone(flow);
            if flow.state != State::Retired {
                let is_newest = newest.get(&flow.id.slug) == Some(&flow.id.version);
                flow.state = if is_newest { State::Current } else { State::Draining };
            }
            flow
        })
        .collect()
}

/// Names manually created flows after their slugs: `order_v2` becomes version 2 of `order` if a flow `order` exists. Recorded
/// flows keep their names.
fn infer_versions(catalog: &Catalog) -> Catalog {
    let known = |slug: &str| catalog.get(slug).is_some_and(|flow| flow.id.version == 1);
    catalog
        .iter()
        .map(|(slug, flow)| {
            let mut flow = Flow::clone(flow);
            let split = slug.rsplit_once("_v").filter(|(base, _)| flow.state == State::Unmanaged && known(base));
            if let Some((base, Ok(version))) = split.map(|(base, digits)| (base, digits.parse::<u32>())) {
                let id = FlowId::new(base, version);
                // No version of `order` has the slug `order_v02` or `order_v1`.
                if version > 1 && id.database_slug() == slug {
                    flow.id = id;
                }
            }
            flow
        })
        .collect()
}
