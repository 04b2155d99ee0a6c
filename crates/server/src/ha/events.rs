//! What happens in a deployment, a line each in the log.

use redoubt_ha::event::{Event, Waiting};

pub(super) fn tell(event: &Event) {
    match event {
        Event::TookOffice => tracing::info!("This node decides for the deployment"),
        Event::FailingOver { to, cause, took, .. } => {
            tracing::warn!(
                "Failing over to node {:016x}: the primary was {cause}; its last sign {took} ago",
                to.node.0
            );
        }
        Event::NoCandidate { why: Waiting::ForMember(node), .. } => {
            tracing::warn!("No primary: waiting for node {:016x}, which has what was acknowledged", node.0);
        }
        Event::NoCandidate { why: Waiting::ForCandidate, .. } => {
            tracing::warn!("No primary: none of the in-sync members may lead (priority 0, hung or loading)");
        }
        Event::NoCandidate { why: Waiting::ForFounders, .. } => {
            tracing::info!("No primary yet: waiting for all nodes of the deployment to be ready");
        }
        Event::PossibleLoss { from, .. } => tracing::error!(
            "All in-sync members restarted: going on from {from}, the best copy there is. Writes that were acknowledged \
             after it and not on a disk are lost"
        ),
        Event::Leading { epoch } => tracing::info!("This node is the primary of epoch {epoch}"),
        Event::Following { primary, epoch } => {
            tracing::info!("This node follows node {:016x} in epoch {epoch}", primary.node.0);
        }
        Event::Fenced(why) => {
            tracing::warn!("Fenced, no write is acknowledged here any more: {}", reason(*why))
        }
        Event::HandoverFailed => tracing::warn!("The handover was given up: this node goes on as primary"),
    }
}

fn reason(why: redoubt_ha::event::Fenced) -> &'static str {
    use redoubt_ha::event::Fenced;
    match why {
        Fenced::LeaseLost => "the lease ended",
        Fenced::Deposed => "another node leads",
        Fenced::HandedOver => "handed over",
    }
}
