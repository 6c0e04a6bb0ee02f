// What there is to tell of a running gateway, as tables of values: the page for people and the JSON for
// programs are two ways to write the same report.

import Configuration
import JOSE
import Network
import Observability
import Primitives
import Sessions

/// A value of the report.
enum StatusValue {
    case text(String)
    case number(Int64)
    /// In seconds.
    case duration(Double)
    case time(WallTime)
    /// A word, and whether it is good news.
    case state(String, isGood: Bool)
    case none

    static func count(_ value: UInt64) -> StatusValue { .number(Int64(clamping: value)) }
}

/// A table of the report. Each row has a value for each column.
struct StatusTable {
    /// The member of the JSON, and what the page calls it.
    typealias Column = (key: String, title: String)

    let key: String
    let title: String
    let columns: [Column]
    var rows: [[StatusValue]] = []
}

/// The report of one moment.
struct StatusReport {
    /// Names with one value each, by what they are about.
    private(set) var summary: [(key: String, title: String, value: StatusValue)] = []
    private(set) var tables: [StatusTable] = []
    private let runtime: GatewayRuntime
    private let metrics: GatewayMetrics
    private let now: WallTime

    init(_ shard: Shard) {
        runtime = shard.runtime
        metrics = shard.runtime.services.metrics
        now = shard.wallTime
        summarise(HealthEndpoint.checks(shard).compactMap(\.reason), shard.wallTime)
        addRoutes()
        addUpstreams()
        addSessions()
        addRefusals()
        addLogs()
        addKeys()
        addCertificates()
    }

    private mutating func summarise(_ reasons: [String], _ now: WallTime) {
        let status = runtime.services.status.current
        let ready = reasons.isEmpty ? "ready" : reasons.joined(separator: ", ")
        let concluded = metrics.sum(\.concluded)
        summary = [
            ("state", "State", .state(ready, isGood: reasons.isEmpty)),
            ("version", "Version", .text(status.version)),
            ("host", "Host", .text(runtime.services.hostName)),
            (
                "uptime_seconds", "Up for",
                .duration(Double(max(0, now.milliseconds - status.started.milliseconds)) / 1000)
            ),
            ("workers", "Workers", .number(Int64(metrics.shards.count))),
            ("connections", "Connections", .count(metrics.sum(\.connections))),
            ("requests_in_flight", "Requests in flight", .count(metrics.sum(\.begun) &- concluded)),
            ("configuration", "Configuration", .text(status.configurationPath)),
            ("loaded", "Loaded", .time(status.loaded)),
            ("reloads", "Reloads", .count(status.reloads)),
            (
                "last_reload_error", "Last reload",
                status.refusal.map {
                    .state("refused \(CivilTime($0.at).rfc3339): \($0.reason)", isGood: false)
                } ?? .none
            ),
        ]
    }

    // MARK: - Traffic

    private mutating func addRoutes() {
        var table = StatusTable(
            key: "routes", title: "Routes",
            columns: [
                ("route", "Route"), ("to", "To"), ("access", "Access"), ("requests", "Requests"),
                ("ok", "1–3xx"), ("client_errors", "4xx"), ("server_errors", "5xx"), ("mean_seconds", "Mean"),
            ])
        let routes = metrics.routes(of: runtime)
        for (index, route) in routes.enumerated() {
            let sums = (0..<RouteMetrics.classCount).map { route.duration(ofClass: $0) }
            let count = sums.reduce(0) { $0 + $1.count }
            let seconds = Double(sums.reduce(0) { $0 + $1.microseconds }) / 1_000_000
            let (to, access) =
                index < runtime.policy.routes.all.count
                ? describe(runtime.policy.routes.all[index]) : ("", "")
            table.rows.append([
                .text(route.label), to.isEmpty ? .none : .text(to), access.isEmpty ? .none : .text(access),
                .count(count), .count(sums[0].count + sums[1].count + sums[2].count), .count(sums[3].count),
                .count(sums[4].count), count == 0 ? .none : .duration(seconds / Double(count)),
            ])
        }
        tables.append(table)
    }

    private func describe(_ route: Route) -> (to: String, access: String) {
        let configuration = route.configuration
        let access = configuration.access.rawValue + (configuration.isObserved ? ", observed" : "")
        switch configuration.destination {
        case .upstream(let index): return (runtime.upstreams[index].configuration.name, access)
        case .fixed(let response): return ("respond \(response.status)", access)
        }
    }

    private mutating func addUpstreams() {
        var table = StatusTable(
            key: "upstreams", title: "Upstreams",
            columns: [
                ("upstream", "Upstream"), ("server", "Server"), ("state", "State"), ("idle", "Idle"),
                ("active", "Active"), ("waiting", "Waiting"), ("connect_errors", "Connect errors"),
            ])
        for target in runtime.upstreams {
            let name = target.configuration.name
            let pools = metrics.shards.map { $0.pool(name) }
            func sum(_ path: KeyPath<PoolMetrics, Counter>) -> UInt64 {
                pools.reduce(0) { $0 &+ $1[keyPath: path].value }
            }
            let errors = sum(\.connectFailures) + sum(\.connectTimeouts) + sum(\.tlsFailures)
            let figures: [StatusValue] = [
                .count(sum(\.idle)), .count(sum(\.active)), .number(Int64(max(0, target.waiting.value))),
                .count(errors),
            ]
            for (index, server) in target.directory.servers.enumerated() {
                let state = StatusValue.state(server.isUp ? "up" : "out", isGood: server.isUp)
                // Connections are the upstream's, and stand in the line of its first server.
                table.rows.append(
                    [.text(name), .text(server.text), state]
                        + (index == 0 ? figures : [.none, .none, .none, .none]))
            }
        }
        tables.append(table)
    }

    private mutating func addRefusals() {
        var table = StatusTable(
            key: "refusals", title: "Refusals", columns: [("reason", "Reason"), ("count", "Count")])
        let shards = metrics.shards
        for (place, word) in RefusalMetrics.words.enumerated() {
            let count = shards.reduce(0) { $0 &+ $1.refusals.value(place) }
            if count > 0 { table.rows.append([.text(word), .count(count)]) }
        }
        tables.append(table)
    }

    // MARK: - Sessions

    private mutating func addSessions() {
        let counts = runtime.sessions.metrics
        var table = StatusTable(
            key: "sessions", title: "Sessions", columns: [("event", "Since the start"), ("count", "Count")])
        for outcome in LoginOutcome.allCases {
            table.rows.append([.text("login \(outcome.rawValue)"), .count(counts.logins.value(outcome))])
        }
        for outcome in RefreshOutcome.allCases {
            table.rows.append([.text("refresh \(outcome.rawValue)"), .count(counts.refreshes.value(outcome))])
        }
        for reason in EndReason.allCases {
            table.rows.append([.text("ended by \(reason.rawValue)"), .count(counts.ends.value(reason))])
        }
        let inForce = metrics.shards.map(\.revocations.value).max() ?? 0
        table.rows.append([.text("revocations in force"), .count(inForce)])
        table.rows.append([.text("store errors"), .count(counts.storeErrors.value)])
        // Of what never happened there are too many lines.
        table.rows.removeAll { row in
            if case .number(0) = row[1], case .text(let text) = row[0] {
                return !["login begun", "refresh granted", "revocations in force", "store errors"].contains(
                    text)
            }
            return false
        }
        tables.append(table)
    }

    // MARK: - Keys, certificates, logs

    private mutating func addKeys() {
        var table = StatusTable(
            key: "keys", title: "Keys",
            columns: [
                ("issuer", "Issuer"), ("key", "Key"), ("algorithm", "Algorithm"), ("state", "State"),
                ("age_seconds", "Age"),
            ])
        for key in runtime.services.status.current.keys {
            let age = key.created.map { Double(max(0, now.milliseconds - $0.milliseconds)) / 1000 }
            table.rows.append([
                .text(runtime.configuration.accessToken.issuer), .text(key.kid), .text(key.algorithm),
                .state(key.state, isGood: true), age.map(StatusValue.duration) ?? .none,
            ])
        }
        for issuer in runtime.issuers {
            let keys = issuer.keys.set.keys
            for key in keys {
                table.rows.append([
                    .text(issuer.configuration.issuer), .text(key.kid ?? ""), .text(key.algorithm.name),
                    .state("trusted", isGood: true), .none,
                ])
            }
            if keys.isEmpty {
                table.rows.append([
                    .text(issuer.configuration.issuer), .none, .none,
                    .state("no keys", isGood: false), .none,
                ])
            }
        }
        tables.append(table)
    }

    private mutating func addCertificates() {
        let certificates = runtime.services.status.current.certificates
        if certificates.isEmpty { return }
        var table = StatusTable(
            key: "certificates", title: "Certificates",
            columns: [("names", "For"), ("file", "File"), ("not_after", "Ends"), ("state", "State")])
        for certificate in certificates {
            let left = certificate.notAfter.milliseconds - now.milliseconds
            let days = left / 86_400_000
            table.rows.append([
                .text(certificate.names.joined(separator: ", ")), .text(certificate.file),
                .time(certificate.notAfter),
                .state(left <= 0 ? "expired" : "\(days) days left", isGood: days >= 14),
            ])
        }
        tables.append(table)
    }

    private mutating func addLogs() {
        var table = StatusTable(
            key: "logs", title: "Logs", columns: [("log", "Log"), ("dropped_lines", "Dropped lines")])
        for log in runtime.services.logLosses {
            table.rows.append([.text(log.name), .number(Int64(log.lines))])
        }
        tables.append(table)
    }
}

// MARK: - As JSON

extension StatusReport {
    /// The report as one object: the summary's members, and an array for each table.
    var json: [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        for entry in summary { Self.write(entry.value, entry.key, &writer) }
        for table in tables {
            writer.beginArray(table.key)
            for row in table.rows {
                writer.beginObject()
                for (column, value) in zip(table.columns, row) { Self.write(value, column.key, &writer) }
                writer.endObject()
            }
            writer.endArray()
        }
        writer.endObject()
        return writer.bytes
    }

    private static func write(_ value: StatusValue, _ name: String, _ writer: inout JSONWriter) {
        switch value {
        case .text(let text), .state(let text, _): writer.string(name, text)
        case .number(let number): writer.number(name, number)
        case .duration(let seconds): writer.json(name, Array("\(seconds)".utf8))
        case .time(let time): writer.string(name, CivilTime(time).rfc3339)
        case .none: writer.null(name)
        }
    }
}
