// The part of `/metrics` that is not the shards': sessions and their store, upstreams, and the process.

import Configuration
import Network
import Observability
import Primitives
import Sessions

extension MetricsPage {
    // MARK: - Sessions

    mutating func writeSessions() {
        let sessions = runtime.sessions
        let metrics = sessions.metrics
        text.begin("auth_gateway_refreshes_total", .counter, "Refreshes, by what became of them.")
        for outcome in RefreshOutcome.allCases {
            text.sample(
                "auth_gateway_refreshes_total", [("result", outcome.rawValue)],
                metrics.refreshes.value(outcome))
        }
        text.begin(
            "auth_gateway_logins_total", .counter,
            "Beginnings of sessions, by what became of them. Upstreams count the logins that they refuse.")
        for outcome in LoginOutcome.allCases {
            text.sample(
                "auth_gateway_logins_total", [("result", outcome.rawValue)], metrics.logins.value(outcome))
        }
        text.begin("auth_gateway_sessions_ended_total", .counter, "Sessions that were ended, by reason.")
        for reason in EndReason.allCases {
            text.sample(
                "auth_gateway_sessions_ended_total", [("reason", reason.rawValue)],
                metrics.ends.value(reason))
        }
        text.begin(
            "auth_gateway_revocations_total", .counter,
            "Revocations: of a session, of all sessions of a subject, of a subject's access tokens.")
        for kind in RevocationKind.allCases {
            text.sample(
                "auth_gateway_revocations_total", [("kind", kind.rawValue)], metrics.revocations.value(kind))
        }
        text.begin(
            "auth_gateway_store_duration_seconds", .histogram,
            "Transactions of the session store, until they are on disk.")
        var transactions = HistogramSum()
        transactions.add(metrics.transactions)
        text.sample("auth_gateway_store_duration_seconds", [("op", "transaction")], transactions)
        write(
            "auth_gateway_store_errors_total", .counter, "Transactions and copies that the store has failed.",
            metrics.storeErrors.value)
        write(
            "auth_gateway_store_waiting_orders", .gauge, "Orders that wait for the session store.",
            UInt64(sessions.waitingOrders))
        write(
            "auth_gateway_store_orders_refused_total", .counter,
            "Orders that found too many others waiting for the session store.", sessions.ordersTurnedAway)
    }

    // MARK: - Upstreams

    mutating func writeUpstreams() {
        text.begin(
            "auth_gateway_upstream_connections", .gauge,
            "Connections to an upstream: idle, or with an exchange.")
        for target in runtime.upstreams {
            let name = target.configuration.name
            for (state, path) in [("idle", \PoolMetrics.idle), ("active", \PoolMetrics.active)] {
                text.sample(
                    "auth_gateway_upstream_connections", [("upstream", name), ("state", state)],
                    sum(name, path))
            }
        }
        text.begin(
            "auth_gateway_upstream_waiting_requests", .gauge,
            "Requests that wait for a connection to an upstream.")
        for target in runtime.upstreams {
            text.sample(
                "auth_gateway_upstream_waiting_requests", [("upstream", target.configuration.name)],
                UInt64(max(0, target.waiting.value)))
        }
        text.begin("auth_gateway_upstream_connects_total", .counter, "Connections made to an upstream.")
        for target in runtime.upstreams {
            let name = target.configuration.name
            text.sample(
                "auth_gateway_upstream_connects_total", [("upstream", name)], sum(name, \.connects))
        }
        text.begin(
            "auth_gateway_upstream_connect_errors_total", .counter,
            "Connections to an upstream that could not be made.")
        for target in runtime.upstreams {
            let name = target.configuration.name
            for (reason, path) in [
                ("connect", \PoolMetrics.connectFailures), ("timeout", \PoolMetrics.connectTimeouts),
                ("tls", \PoolMetrics.tlsFailures),
            ] {
                text.sample(
                    "auth_gateway_upstream_connect_errors_total", [("upstream", name), ("reason", reason)],
                    sum(name, path))
            }
        }
        text.begin(
            "auth_gateway_upstream_server_up", .gauge,
            "Whether a server gets requests: 0 while health checks or failures have taken it out.")
        for target in runtime.upstreams {
            for server in target.directory.servers {
                text.sample(
                    "auth_gateway_upstream_server_up",
                    [("upstream", target.configuration.name), ("server", server.text)],
                    UInt64(server.isUp ? 1 : 0))
            }
        }
    }

    private func sum(_ pool: String, _ path: KeyPath<PoolMetrics, Counter>) -> UInt64 {
        shards.reduce(0) { $0 &+ $1.pool(pool)[keyPath: path].value }
    }

    // MARK: - The process

    mutating func writeProcess() {
        let status = runtime.services.status.current
        text.begin("auth_gateway_log_dropped_lines_total", .counter, "Lines that a log could not take.")
        for log in runtime.services.logLosses {
            text.sample(
                "auth_gateway_log_dropped_lines_total", [("log", log.name)],
                UInt64(max(0, log.lines)))
        }
        text.begin("auth_gateway_config_reloads_total", .counter, "Reloads of the configuration.")
        text.sample("auth_gateway_config_reloads_total", [("result", "success")], status.reloads)
        text.sample("auth_gateway_config_reloads_total", [("result", "failure")], status.refusedReloads)
        text.begin(
            "auth_gateway_config_last_reload_success_timestamp_seconds", .gauge,
            "When the configuration in force was loaded.")
        text.sample(
            "auth_gateway_config_last_reload_success_timestamp_seconds", [], Double(status.loaded.seconds))
        text.begin("auth_gateway_build_info", .gauge, "Always 1; the version is a label.")
        text.sample("auth_gateway_build_info", [("version", status.version)], UInt64(1))
        guard let process = ProcessFigures.current else { return }
        text.begin("process_cpu_seconds_total", .counter, "Total user and system CPU time spent in seconds.")
        text.sample("process_cpu_seconds_total", [], process.processorSeconds)
        write(
            "process_resident_memory_bytes", .gauge, "Resident memory size in bytes.", process.residentBytes)
        write("process_virtual_memory_bytes", .gauge, "Virtual memory size in bytes.", process.virtualBytes)
        write("process_open_fds", .gauge, "Number of open file descriptors.", UInt64(process.openDescriptors))
        write("process_max_fds", .gauge, "Maximum number of open file descriptors.", process.descriptorsMax)
        text.begin(
            "process_start_time_seconds", .gauge, "Start time of the process since unix epoch in seconds.")
        text.sample("process_start_time_seconds", [], process.startSeconds)
    }
}
