//! `lb explain`: why a request would be sent where, line by line of the file. The answer is [`lb_core::explain`]'s; here it is asked
//! for and shown.

use crate::args::ExplainArgs;
use crate::load;
use crate::messages::{print, say};
use lb_config::{Config, Severity, Switches, report};
use lb_core::explain::{Asked, Explained, Explanation, Question, explain};
use serde_json::{Value, json};
use std::process::ExitCode;

/// Asks and shows.
pub fn run(args: &ExplainArgs) -> ExitCode {
    let loaded = match load::load(&args.files, Switches::default(), &[]) {
        Ok(loaded) => loaded,
        Err(text) => {
            say(&format!("{text}\n"));
            return ExitCode::FAILURE;
        }
    };
    if loaded.has(Severity::Error) {
        say(&report(&loaded.diagnostics, std::process::id()));
        return ExitCode::FAILURE;
    }
    let mut request = format!("{}\r\n", args.request);
    for field in &args.fields {
        request.push_str(&format!("{field}\r\n"));
    }
    request.push_str("\r\n");
    let question = Question { request: request.into_bytes(), client: args.client, frontend: args.frontend.clone() };
    match explain(&loaded.config, &question) {
        Ok(answer) => {
            let text = if args.json { format!("{:#}\n", as_json(&answer, &loaded.config)) } else { as_text(&answer, &loaded.config) };
            print(&text);
            ExitCode::SUCCESS
        }
        Err(error) => {
            say(&format!("{error}\n"));
            ExitCode::FAILURE
        }
    }
}

fn as_text(answer: &Explanation, config: &Config) -> String {
    let mut out = format!("frontend {}\n", answer.frontend);
    for rule in &answer.rules {
        let mark = if rule.applies { "applies" } else { "no" };
        out.push_str(&format!("  {}: {}: {mark}\n", config.place(rule.span), rule.text));
        for asked in &rule.asked {
            out.push_str(&format!("      {}\n", of_acl(asked)));
        }
        for effect in &rule.effects {
            out.push_str(&format!("      {effect}\n"));
        }
    }
    if let Some(response) = &answer.answer {
        out.push_str(&format!("answered here:\n{}\n", indented(response)));
    }
    if let Some(backend) = &answer.backend {
        out.push_str(&format!("backend {backend}\n"));
        for server in &answer.servers {
            out.push_str(&format!("  {} {}: {}\n", if server.chosen { "->" } else { "  " }, server.name, server.why));
        }
        out.push_str(&format!("request:\n{}\n", indented(&answer.request)));
    }
    out
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

fn as_json(answer: &Explanation, config: &Config) -> Value {
    let rule = |rule: &Explained| {
        let asked: Vec<Value> = rule
            .asked
            .iter()
            .map(|asked| {
                let values: Vec<Value> = asked.values.iter().map(|(expr, value)| json!({ "expression": expr, "value": value })).collect();
                json!({ "acl": asked.acl, "negated": asked.negated, "matched": asked.matched, "values": values })
            })
            .collect();
        json!({
            "place": config.place(rule.span),
            "rule": rule.text,
            "applies": rule.applies,
            "acls": asked,
            "effects": rule.effects,
        })
    };
    let servers: Vec<Value> =
        answer.servers.iter().map(|server| json!({ "name": server.name, "chosen": server.chosen, "why": server.why })).collect();
    json!({
        "frontend": answer.frontend,
        "rules": answer.rules.iter().map(rule).collect::<Vec<_>>(),
        "backend": answer.backend,
        "servers": servers,
        "answer": answer.answer,
        "request": answer.request,
    })
}
