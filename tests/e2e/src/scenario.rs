//! What tests of one fault have in common: a load before, during and after it, and the judgement of what clients saw.

use crate::deployment::PATIENCE;
use crate::history::History;
use crate::torture::judge;
use crate::{Deployment, Load, LoadOptions, Options};

/// Runs a fault under load, has everybody come back who is not away, and checks what clients saw. An empty history where
/// what the options ask for cannot be had.
///
/// # Panics
/// When anything is not as it should be.
#[track_caller]
pub fn under_load(
    options: &Options,
    load: &LoadOptions,
    fault: impl FnOnce(&mut Deployment, &Load),
) -> History {
    let started = Deployment::start(options).expect("a deployment starts");
    let Some(mut deployment) = started else { return History::default() };
    let load = Load::start(&deployment.addresses(), load);
    load.wait_acked(200, PATIENCE).expect("writes flow before the fault");
    fault(&mut deployment, &load);
    deployment.start_missing().expect("they start");
    deployment.wait_ready().expect("all is well after the fault");
    load.wait_acked(200, PATIENCE).expect("writes flow after the fault");
    let history = load.finish();
    let wrong = judge(&mut deployment, &history).expect("all nodes hold the same");
    if !wrong.is_empty() {
        let file = deployment.dir.join("history.txt");
        history.save(&file).expect("saved");
        panic!("{}\nhistory in {}\n{}", wrong.join("\n"), file.display(), deployment.state());
    }
    history
}

/// Writes that go on somewhere else, without the node.
///
/// # Panics
/// When they do not.
#[track_caller]
pub fn others_go_on(deployment: &mut Deployment, load: &Load, without: usize) {
    deployment.wait_other_primary(without).expect("another leads");
    load.wait_acked(200, PATIENCE).expect("writes go on");
}
