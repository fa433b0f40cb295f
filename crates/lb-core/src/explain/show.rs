//! An explanation as text and as JSON: the same for tools and for log messages.

use super::{Asked, Explained, Explanation, Switch};
use lb_config::Span;
use serde_json::{Value, json};

impl Explanation {
    /// As text, one fact per line; `place` says where in which file something stands.
    pub fn text(&self, place: impl Fn(Span) -> String) -> String {
        let mut out = format!("frontend {}\n", self.frontend);
        for rule in &self.rules {
            let mark = if rule.applies { "applies" } else { "no" };
            out.push_str(&format!("  {}: {}: {mark}\n", place(rule.span), rule.text));
            for asked in &rule.asked {
                out.push_str(&format!("      {}\n", of_acl(asked)));
            }
            for effect in &rule.effects {
                out.push_str(&format!("      {effect}\n"));
            }
        }
        if self.more != 0 {
            out.push_str(&format!("  and {} more rules\n", self.more));
        }
        if let Some(response) = &self.answer {
            out.push_str(&format!("answered here:\n{}\n", indented(response)));
        }
        if let Some(backend) = &self.backend {
            out.push_str(&format!("backend {backend}{}\n", self.chosen_by(&place).map_or(String::new(), |by| format!(" ({by})"))));
            for server in &self.servers {
                out.push_str(&format!("  {} {}: {}\n", if server.chosen { "->" } else { "  " }, server.name, server.why));
            }
        }
        if let Some(request) = &self.request {
            out.push_str(&format!("request:\n{}\n", indented(request)));
        }
        out
    }

    /// As JSON.
    pub fn json(&self, place: impl Fn(Span) -> String) -> Value {
        let rule = |rule: &Explained| {
            json!({
                "place": place(rule.span),
                "rule": rule.text,
                "applies": rule.applies,
                "acls": rule.asked.iter().map(json_of_acl).collect::<Vec<_>>(),
                "effects": rule.effects,
            })
        };
        let servers: Vec<Value> =
            self.servers.iter().map(|server| json!({ "name": server.name, "chosen": server.chosen, "why": server.why })).collect();
        let mut all = json!({
            "frontend": self.frontend,
            "rules": self.rules.iter().map(rule).collect::<Vec<_>>(),
            "backend": self.backend,
            "backend_by": self.backend.as_ref().and_then(|_| self.chosen_by(&place)),
            "servers": servers,
            "answer": self.answer,
        });
        if let Some(request) = &self.request {
            all["request"] = json!(request);
        }
        if self.more != 0 {
            all["more_rules"] = json!(self.more);
        }
        all
    }

    /// On one line of at most `limit` bytes, behind `begin` (text) or with the members of `begin` (JSON). What does not fit is left out
    /// as a whole: the rules that did not apply, then all rules, then the servers that were not taken.
    pub(crate) fn one_line(
        mut self,
        (text, members): (&str, Value),
        as_json: bool,
        limit: usize,
        place: impl Fn(Span) -> String,
    ) -> String {
        let mut left_out = 0;
        loop {
            let line = if as_json {
                let mut all = self.json(&place);
                if let (Some(all), Value::Object(members)) = (all.as_object_mut(), members.clone()) {
                    all.extend(members);
                }
                all.to_string()
            } else {
                let lines = self.text(&place);
                let parts: Vec<&str> = lines.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
                format!("{text} | {}", parts.join(" | "))
            };
            if line.len() <= limit || left_out == 3 {
                return line;
            }
            left_out += 1;
            let before = self.rules.len();
            self.rules.retain(|rule| left_out == 1 && rule.applies);
            self.more += before - self.rules.len();
            self.servers.retain(|server| left_out < 3 || server.chosen);
        }
    }

    fn chosen_by(&self, place: &impl Fn(Span) -> String) -> Option<String> {
        match self.switch {
            Switch::Line(span) => Some(format!("by {}", place(span))),
            Switch::Default => Some("by default".to_owned()),
            Switch::Unknown => None,
        }
    }
}

fn indented(text: &str) -> String {
    text.trim_end().lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

fn of_acl(asked: &Asked) -> String {
    let values: Vec<String> = asked
        .values
        .iter()
        .map(|(expr, value)| match value {
            Some(value) => format!("{expr} is '{value}'"),
            None => format!("{expr} is not there"),
        })
        .collect();
    let sign = if asked.negated { "!" } else { "" };
    format!("{sign}{}: {} ({})", asked.acl, if asked.matched { "matches" } else { "does not match" }, values.join("; "))
}

fn json_of_acl(asked: &Asked) -> Value {
    let values: Vec<Value> = asked.values.iter().map(|(expr, value)| json!({ "expression": expr, "value": value })).collect();
    json!({ "acl": asked.acl, "negated": asked.negated, "matched": asked.matched, "values": values })
}
