// SIGHUP and `auth-gateway reload`: the new configuration whole, or the old one as it was. What cannot change
// in a running process is said, and stays.

import Configuration
import Network
import Observability
import Primitives
import Proxy
import Sessions

/// How a reload has ended.
enum ReloadOutcome: Equatable {
    case inForce
    /// - Parameter findings: what is wrong with the configuration, as `check` says it.
    case refused(reason: String, findings: [String])

    /// As one line for another process.
    var line: String {
        var json = JSONWriter()
        json.beginObject()
        switch self {
        case .inForce: json.boolean("reloaded", true)
        case .refused(let reason, let findings):
            json.boolean("reloaded", false)
            json.string("reason", reason)
            json.beginArray("findings")
            // What one message between processes holds.
            for finding in findings.prefix(Self.findingsMax) {
                json.string(nil, String(finding.prefix(Self.findingCharactersMax)))
            }
            json.endArray()
        }
        json.endObject()
        return String(decoding: json.bytes, as: UTF8.self)
    }

    private static let findingsMax = 50
    private static let findingCharactersMax = 1000
}

extension RunCommand {
    /// Takes up what the configuration file says now.
    ///
    /// - Parameter done: told when every shard works by it, or that nothing has changed.
    func reload(done: @escaping @MainActor @Sendable (ReloadOutcome) -> Void = { _ in }) {
        guard let server, let keyWatch, let sessions, let services, let old = configuration, !isStopping
        else {
            done(.refused(reason: "the gateway is stopping", findings: []))
            return
        }
        if handOver != nil {
            // Nobody has looked at the configuration: it is no refusal of it.
            services.log.warning("no reload: a successor is taking over; say it again when it has")
            done(.refused(reason: "a successor is taking over: say it again when it has", findings: []))
            return
        }
        supervision?.tell("RELOADING=1", "MONOTONIC_USEC=\(Clock.microseconds)")
        let ended: @MainActor @Sendable (ReloadOutcome) -> Void = { [self] outcome in
            supervision?.tell("READY=1")
            done(outcome)
        }
        let loaded = ConfigurationLoader.load(path: path, files: SystemFiles())
        tell(loaded.diagnostics)
        guard let new = loaded.configuration else {
            refuseReload("\(path) has errors", loaded.diagnostics, ended)
            return
        }
        let findings = PolicyFindings.find(in: new, now: Clock.wall)
        tell(findings)
        if findings.hasErrors {
            refuseReload("\(path) does not do what it says itself", findings, ended)
            return
        }
        do throws(RuntimeError) {
            let openedLogs = try open(new.logs)
            var services = services
            services.accessLog = openedLogs?.access
            let keys = try keyWatch.keys(following: new)
            let runtime = try GatewayRuntime(
                configuration: new, keys: keyWatch.inForce, sessions: sessions, services: services,
                previous: server.current)
            for remark in GatewayTLS.remarks(on: new, at: Clock.wall) { services.log.warning(remark.text) }
            let tls = try GatewayTLS.server(new, ticketKeys: try keysOfTickets(new))
            try server.change(to: runtime, tls: tls) { [services, path] in
                services.status.reloaded(at: Clock.wall)
                services.log.info("reloaded \(path)")
                services.audit.record("config_reloaded", [])
                MainActor.assumeIsolated { ended(.inForce) }
            }
            if let openedLogs { logs?.change(to: openedLogs) }
            self.services = services
            keyWatch.change(to: keys)
        } catch {
            refuseReload(error.reason, loaded.diagnostics, ended)
            return
        }
        certificateFiles = GatewayTLS.files(of: new)
        services.status.set(certificates: GatewayTLS.certificates(of: new, at: Clock.wall))
        sessions.change(to: SessionPolicy(new))
        configuration = new
        for (name, differs) in [
            ("workers", new.workers != old.workers), ("user", new.user != old.user),
            ("state_directory", new.stateDirectory != old.stateDirectory),
        ] where differs {
            services.log.warning("reload: '\(name)' changes with the next start only")
        }
    }

    private func tell(_ findings: [Diagnostic]) {
        for finding in findings {
            switch finding.severity {
            case .error: services?.log.error(finding.inOneLine)
            case .warning: services?.log.warning(finding.inOneLine)
            }
        }
    }

    private func open(_ configuration: LogsConfiguration) throws(RuntimeError) -> Logs.Opened? {
        do throws(StartProblem) {
            return try logs?.open(configuration)
        } catch {
            throw RuntimeError(reason: error.reason)
        }
    }

    private func refuseReload(
        _ reason: String, _ findings: [Diagnostic], _ done: @MainActor (ReloadOutcome) -> Void
    ) {
        let first = findings.first { $0.severity == .error }.map { ": \($0.file):\($0.line): \($0.message)" }
        services?.status.reloadRefused(reason + (first ?? ""), at: Clock.wall)
        services?.log.error("reload refused, the old configuration stays: \(reason)")
        services?.audit.record("config_reload_refused", [])
        done(.refused(reason: reason, findings: findings.map(\.rendered)))
    }
}
