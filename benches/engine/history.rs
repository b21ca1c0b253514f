//! Chains beside a million finished tasks.

use crate::args::Args;
use crate::contender::Contender;
use crate::flow::define;
use crate::process::{Measured, measure_in};
use crate::server::Place;
use crate::shape::Shape;
use crate::sql::run;

/// Five steps, as `history.sql` has them.
pub(crate) const SHAPE: Shape = Shape::Chain(5);

fn database(contender: Contender) -> String {
    contender.template().replace("template", "history")
}

/// Makes the database with the finished tasks, unless another contender of the same engine had it made.
pub(crate) async fn fill(place: &Place, args: &Args, contender: Contender) {
    let database = database(contender);
    if place.has(&database).await {
        return;
    }
    let mut connection = place.database(contender, &database).await;
    for flow in ["warm", "flow"] {
        define(&mut connection, contender, SHAPE, flow).await;
    }
    let runs = (args.history / SHAPE.tasks_of_a_run()).to_string();
    run(&mut connection, &include_str!("history.sql").replace(":runs", &runs)).await;
    run(&mut connection, "vacuum analyze").await;
}

pub(crate) async fn measure(place: &Place, args: &Args, contender: Contender) -> Measured {
    measure_in(place, args, contender, SHAPE, &database(contender)).await
}
