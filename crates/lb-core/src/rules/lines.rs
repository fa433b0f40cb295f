//! Rules of haproxy 1.3 to 2.0 that look at a head as lines of text: `reqrep` and its family. The editing itself is [`lb_expr::lines`].

use super::Stage;
use super::edits::{MAX_HEAD, head, host_of_target};
use lb_config::{LineAction, LineRule};
use lb_expr::lines;

/// Where such a rule leads.
pub enum Outcome {
    /// To the rule behind it.
    Next,
    /// Behind all rules of its kind.
    Skip,
    /// It ends the message's way.
    End,
    /// It has made a line that is none.
    Unreadable,
}

/// Does what a rule says to the lines that it finds.
pub fn apply(rule: &LineRule, stage: &mut Stage<'_>) -> Outcome {
    // Once a request is allowed, in the frontend or here, nothing judges it any more.
    let judged = stage.record.as_deref().is_some_and(|record| record.rules().allowed);
    let Some(head) = head(stage) else { return Outcome::Next };
    let there = |head| lines::matches(&rule.regex, head);
    match &rule.what {
        LineAction::Replace(with) => match lines::replace(&rule.regex, with, head, MAX_HEAD) {
            Ok(lines::Replaced::Start) if head.status() == 0 => {
                host_of_target(head);
                Outcome::Next
            }
            Ok(_) => Outcome::Next,
            Err(_) => Outcome::Unreadable,
        },
        LineAction::Remove => {
            lines::remove(&rule.regex, head);
            Outcome::Next
        }
        LineAction::End(_) if !judged && there(head) => Outcome::End,
        LineAction::Pass if !judged && there(head) => Outcome::Skip,
        LineAction::Allow if !judged && there(head) => with_rules(stage, |rules| rules.allowed = true),
        LineAction::SetBackend(place) if there(head) => with_rules(stage, |rules| rules.line_backend = rules.line_backend.or(Some(*place))),
        _ => Outcome::Next,
    }
}

fn with_rules(stage: &mut Stage<'_>, change: impl FnOnce(&mut crate::record::RuleState)) -> Outcome {
    if let Some(record) = stage.record.as_deref_mut() {
        change(record.rules_mut());
    }
    Outcome::Next
}
