// SIGHUP: the new configuration whole, or the old one as it was. What cannot change in a running process is
// said, and stays.

import Configuration
import Observability
import Primitives
import Network
import Proxy
import Sessions

extension RunCommand {
    /// Takes up what the configuration file says now.
    func reload() {
        guard let server, let keyWatch, let sessions, let services, let old = configuration, !isStopping
        else { return }
        let loaded = ConfigurationLoader.load(path: path, files: SystemFiles())
        for diagnostic in loaded.diagnostics { services.log.warning(diagnostic.rendered) }
        guard let new = loaded.configuration else {
            refuseReload("\(path) has errors")
            return
        }
        do throws(RuntimeError) {
            let keys = try keyWatch.keys(following: new)
            let runtime = try GatewayRuntime(
                configuration: new, keys: keyWatch.inForce, sessions: sessions, services: services,
                previous: server.current)
            for remark in GatewayTLS.remarks(on: new, at: Clock.wall) { services.log.warning(remark.text) }
            let tls = try GatewayTLS.server(new, ticketKeys: try keysOfTickets(new))
            try server.change(to: runtime, tls: tls) { [services, path] in
                services.log.info("reloaded \(path)")
                services.audit.record("config_reloaded", [])
            }
            keyWatch.change(to: keys)
        } catch {
            refuseReload(error.reason)
            return
        }
        certificateFiles = GatewayTLS.files(of: new)
        sessions.change(to: SessionPolicy(new))
        configuration = new
        for (name, differs) in [
            ("workers", new.workers != old.workers), ("logs", new.logs != old.logs),
            ("state_directory", new.stateDirectory != old.stateDirectory),
        ] where differs {
            services.log.warning("reload: '\(name)' changes with the next start only")
        }
    }

    private func refuseReload(_ reason: String) {
        services?.log.error("reload refused, the old configuration stays: \(reason)")
        services?.audit.record("config_reload_refused", [])
    }
}
