// The report as a page for people: HTML without a script or anything else to load, in the colours that the
// reader's system prefers. Whatever was configured or learned is escaped in the one place where it is
// written.

import Primitives

/// Writes the status page.
enum StatusPage {
    static func html(_ report: StatusReport) -> [UInt8] {
        var page = StatusPageWriter()
        page.raw("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n")
        page.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n")
        page.raw("<title>auth-gateway</title>\n<style>")
        page.raw(style)
        page.raw("</style>\n</head>\n<body>\n<header><h1>auth-gateway</h1>")
        if let state = report.summary.first { page.value(state.value) }
        page.raw("</header>\n<dl>\n")
        for entry in report.summary.dropFirst() {
            if case .none = entry.value { continue }
            page.raw("<div><dt>")
            page.text(entry.title)
            page.raw("</dt><dd>")
            page.value(entry.value)
            page.raw("</dd></div>\n")
        }
        page.raw("</dl>\n<main>\n")
        for table in report.tables where !table.rows.isEmpty { page.table(table) }
        page.raw("</main>\n<footer>Read only. The same as JSON: <a href=\"/status\">/status</a>; ")
        page.raw("for Prometheus: <code>/metrics</code>.</footer>\n</body>\n</html>\n")
        return Array(page.html.utf8)
    }

    static let style = """
        :root{color-scheme:light dark;--ink:#1d2129;--soft:#69707d;--line:#e3e6ea;--paper:#fff;\
        --back:#f6f7f9;--good:#1a7f4b;--bad:#c2362b}
        @media(prefers-color-scheme:dark){:root{--ink:#e4e7ec;--soft:#949cab;--line:#2b303a;\
        --paper:#1a1d24;--back:#12141a;--good:#4cc38a;--bad:#ff7a6e}}
        *{box-sizing:border-box}
        body{margin:0 auto;max-width:76rem;padding:2.5rem 1.5rem 3rem;background:var(--back);\
        color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;\
        font-variant-numeric:tabular-nums}
        header{display:flex;align-items:baseline;gap:1rem;margin-bottom:1.25rem}
        h1{font-size:1.5rem;font-weight:600;letter-spacing:-.015em;margin:0}
        h2{font-size:.95rem;font-weight:600;margin:0 0 .5rem}
        dl{display:flex;flex-wrap:wrap;gap:1rem 2.25rem;margin:0 0 1.75rem}
        dt,th{color:var(--soft);font-size:.78rem;font-weight:500}
        dd{margin:0;overflow-wrap:anywhere}
        main{display:grid;grid-template-columns:repeat(auto-fit,minmax(20rem,1fr));gap:1.25rem}
        section{background:var(--paper);border:1px solid var(--line);border-radius:.6rem;\
        padding:1rem 1.15rem;overflow-x:auto}
        section.wide{grid-column:1/-1}
        table{border-collapse:collapse;width:100%}
        th{text-align:left;padding:.2rem 1rem .35rem 0;white-space:nowrap}
        td{border-top:1px solid var(--line);padding:.38rem 1rem .38rem 0;vertical-align:top}
        td:last-child,th:last-child{padding-right:0}
        td.number,th.number{text-align:right;white-space:nowrap}
        td.none{color:var(--soft)}
        .good,.bad{white-space:nowrap}
        .good::before,.bad::before{content:"";display:inline-block;width:.5em;height:.5em;\
        border-radius:50%;margin-right:.45em;vertical-align:.08em;background:var(--good)}
        .bad::before{background:var(--bad)}
        .bad{color:var(--bad);white-space:normal}
        a{color:inherit}
        footer{color:var(--soft);font-size:.85rem;margin-top:1.75rem}
        """
}

/// HTML as it is put together.
private struct StatusPageWriter {
    private(set) var html = ""

    /// Markup of ours.
    mutating func raw(_ markup: String) { html += markup }

    /// Anything else.
    mutating func text(_ text: String) {
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": html += "&amp;"
            case "<": html += "&lt;"
            case ">": html += "&gt;"
            case "\"": html += "&quot;"
            case "'": html += "&#39;"
            default: html.unicodeScalars.append(scalar.isControl ? "\u{FFFD}" : scalar)
            }
        }
    }

    mutating func value(_ value: StatusValue) {
        switch value {
        case .text(let text): self.text(text)
        case .number(let number): text(Self.grouped(number))
        case .duration(let seconds): text(Self.duration(seconds))
        case .time(let time): text(CivilTime(time).rfc3339)
        case .state(let word, let isGood):
            raw(isGood ? "<span class=\"good\">" : "<span class=\"bad\">")
            text(word)
            raw("</span>")
        case .none: raw("–")
        }
    }

    mutating func table(_ table: StatusTable) {
        raw(table.columns.count > 2 ? "<section class=\"wide\"><h2>" : "<section><h2>")
        text(table.title)
        raw("</h2><table>\n<thead><tr>")
        for (index, column) in table.columns.enumerated() {
            raw(table.rows.contains { $0[index].isFigure } ? "<th class=\"number\">" : "<th>")
            text(column.title)
            raw("</th>")
        }
        raw("</tr></thead>\n<tbody>\n")
        for row in table.rows {
            raw("<tr>")
            for (index, value) in row.enumerated() {
                let isFigure = table.rows.contains { $0[index].isFigure }
                raw("<td class=\"\(isFigure ? "number" : "word")\(value.isNone ? " none" : "")\">")
                self.value(value)
                raw("</td>")
            }
            raw("</tr>\n")
        }
        raw("</tbody></table></section>\n")
    }

    /// 1234567 as 1 234 567, with spaces that are narrow and do not break.
    private static func grouped(_ number: Int64) -> String {
        var text = ""
        for (index, digit) in String(number.magnitude).reversed().enumerated() {
            if index > 0, index % 3 == 0 { text.append("\u{202F}") }
            text.append(digit)
        }
        return (number < 0 ? "−" : "") + String(text.reversed())
    }

    private static func duration(_ seconds: Double) -> String {
        switch seconds {
        case ..<0.001: "\(Int64(seconds * 1_000_000)) µs"
        case ..<1: "\(tenths(seconds * 1000)) ms"
        case ..<60: "\(tenths(seconds)) s"
        case ..<3600: "\(Int64(seconds) / 60) min \(Int64(seconds) % 60) s"
        case ..<86_400: "\(Int64(seconds) / 3600) h \(Int64(seconds) / 60 % 60) min"
        default: "\(Int64(seconds) / 86_400) d \(Int64(seconds) / 3600 % 24) h"
        }
    }

    private static func tenths(_ value: Double) -> String {
        value >= 100 ? "\(Int64(value))" : "\((value * 10).rounded() / 10)"
    }
}

extension StatusValue {
    fileprivate var isFigure: Bool {
        switch self {
        case .number, .duration: true
        case .text, .time, .state, .none: false
        }
    }

    fileprivate var isNone: Bool { if case .none = self { true } else { false } }
}
