// `auth-gateway run`: from a configuration file to a serving gateway, and to its orderly end. Whatever cannot
// be had is said in one plain line, and the process ends before it has served anything.

import Configuration
import Dispatch
import Glibc
import JOSE
import Network
import Observability
import Primitives
import Proxy
import Sessions
import TLS

/// Runs the gateway. Owned by: the main queue.
@MainActor
final class RunCommand {
    private let path: String
    private var server: Server?
    private var logs: Logs?
    private var keyWatch: OwnKeyWatch?
    /// Shows other processes that a gateway runs on the keys.
    private var presence: FileLock?
    private var configuration: GatewayConfiguration?
    private var services: GatewayServices?
    private var sessions: RefreshService?
    private var ticketKeys: TicketKeys?
    /// What the files of the certificates held when they were last looked at.
    private var certificateFiles: [[UInt8]?] = []
    private var timers: [any DispatchSourceTimer] = []
    private var signals: Signals?
    private var isStopping = false

    init(path: String) { self.path = path }

    /// Starts serving, and never returns.
    func start() -> Never {
        let loaded = ConfigurationLoader.load(path: path, files: SystemFiles())
        for diagnostic in loaded.diagnostics { Console.error(diagnostic.rendered) }
        guard let configuration = loaded.configuration else {
            Console.error(CheckCommand.summary(loaded, path))
            ExitCode.configuration.end()
        }
        // Before anybody can know that the gateway runs, and so could want it to stop.
        handleSignals()
        do {
            try serve(configuration)
        } catch let problem as StartProblem {
            Console.error("auth-gateway: \(problem.reason)")
            ExitCode.failure.end()
        } catch {
            Console.error("auth-gateway: \(error)")
            ExitCode.failure.end()
        }
        dispatchMain()
    }

    private func serve(_ configuration: GatewayConfiguration) throws {
        let logs = try Logs(configuration.logs)
        self.logs = logs
        let keys: OwnKeys
        let feed = RevocationFeed()
        let sessions: RefreshService
        do {
            let state = try StateDirectory(path: configuration.stateDirectory)
            keys = try ownKeys(configuration)
            sessions = try makeSessions(configuration, state, keys, feed, logs)
        } catch let problem as StateDirectory.Problem {
            throw StartProblem(reason: problem.reason)
        } catch let error as StoreError {
            throw StartProblem(reason: error.detail)
        }
        let census = ConnectionCensus(
            totalMax: configuration.limits.connections,
            perAddressMax: configuration.limits.connectionsPerAddress)
        let services = GatewayServices(
            accessLog: logs.access, audit: logs.audit, log: logs.service, census: census)
        do {
            (self.sessions, self.services) = (sessions, services)
            self.configuration = configuration
            let runtime = try GatewayRuntime(
                configuration: configuration, keys: keys.keySet, sessions: sessions, services: services)
            let ticketKeys = try keysOfTickets(configuration)
            certificateFiles = GatewayTLS.files(of: configuration)
            for remark in GatewayTLS.remarks(on: configuration, at: Clock.wall) {
                logs.service.warning(remark.text)
            }
            let tls = try GatewayTLS.server(configuration, ticketKeys: ticketKeys)
            let server = Server(runtime, tls: tls)
            self.server = server
            watchCertificates()
            let keyWatch = OwnKeyWatch(keys, server, sessions, services)
            self.keyWatch = keyWatch
            every(seconds: OwnKeyWatch.intervalSeconds) { keyWatch.look() }
            try server.startShards(
                configuration.workers ?? Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))), feed: feed)
            // Nothing is served before every shard knows what has been revoked.
            let inForce = DispatchSemaphore(value: 0)
            try sessions.publishRecentRevocations { inForce.signal() }
            inForce.wait()
            let addresses = try server.listen()
            logs.service.info("serving on \(addresses.map(\.description).joined(separator: ", "))")
        } catch let error as RuntimeError {
            throw StartProblem(reason: error.reason)
        } catch let error as StoreError {
            throw StartProblem(reason: error.detail)
        }
    }

    private func ownKeys(_ configuration: GatewayConfiguration) throws -> OwnKeys {
        let directory = KeyDirectory(state: configuration.stateDirectory)
        try directory.make()
        let isAlone = try directory.isUnused()
        presence = try directory.enter()
        return try OwnKeys(configuration, directory, isAlone: isAlone, now: Clock.wall)
    }

    private func makeSessions(
        _ configuration: GatewayConfiguration, _ state: StateDirectory, _ keys: OwnKeys,
        _ feed: RevocationFeed, _ logs: Logs
    ) throws -> RefreshService {
        let (audit, service) = (logs.audit, logs.service)
        // Backups that nobody has taken.
        for left in Files.paths(matching: "\(state.path)/sessions.backup-*") { try? Files.remove(left) }
        return RefreshService(
            store: try SQLiteSessionStore(path: state.databasePath),
            mint: RefreshTokenMint(keys: keys.refreshKeys),
            signer: try TokenSigner(key: keys.signingKey), policy: SessionPolicy(configuration), feed: feed,
            clock: { Clock.wall },
            audit: { event in
                if event.kind == .storeFailed {
                    service.error("the session store failed: \(event.reason ?? "")")
                } else {
                    audit.record(event)
                }
            })
    }

    // MARK: - Reloading

    /// SIGHUP: the new configuration whole, or the old one as it was. What cannot change in a running process
    /// is said, and stays.
    private func reload() {
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

    // MARK: - Certificates

    /// New certificates are picked up as their files change, and the keys of tickets take turns.
    private func watchCertificates() {
        every(seconds: Self.certificateCheckSeconds) { [self] in
            guard let configuration else { return }
            server?.readIssuerFilesAgain()
            let files = GatewayTLS.files(of: configuration)
            if files == certificateFiles { return }
            certificateFiles = files
            renewTLS(configuration, "certificates have been read anew")
        }
        every(seconds: TicketKeys.checkSeconds) { [self] in
            guard let configuration, configuration.tls?.hasTickets == true else { return }
            do throws(SystemError) {
                if try ticketKeys?.rotate(ifDueAt: Clock.wall) != true { return }
                renewTLS(configuration, "a new key of session tickets")
            } catch {
                logs?.service.error("tls: the new key of session tickets is not kept: \(error)")
            }
        }
    }

    /// The keys of tickets, newest first; made when they are first needed, and none where they never are.
    private func keysOfTickets(_ configuration: GatewayConfiguration) throws(RuntimeError) -> [TicketKey] {
        if configuration.tls?.hasTickets != true { return [] }
        do throws(SystemError) {
            if let ticketKeys { return ticketKeys.keys }
            let made = try TicketKeys(
                directory: configuration.stateDirectory, now: Clock.wall)
            ticketKeys = made
            return made.keys
        } catch {
            throw RuntimeError(reason: "the keys of session tickets cannot be kept: \(error)")
        }
    }

    /// What cannot be used is said, and what was in force stays.
    private func renewTLS(_ configuration: GatewayConfiguration, _ reason: String) {
        do throws(RuntimeError) {
            server?.change(tls: try GatewayTLS.server(configuration, ticketKeys: ticketKeys?.keys ?? []))
            logs?.service.info("tls: \(reason)")
        } catch {
            logs?.service.error("tls: the old certificates stay: \(error.reason)")
        }
    }

    private func every(seconds: Int, _ action: @escaping @MainActor () -> Void) {
        let timer = DispatchSource.makeTimerSource(queue: .main)
        timer.schedule(deadline: .now() + .seconds(seconds), repeating: .seconds(seconds))
        timer.setEventHandler { MainActor.assumeIsolated { action() } }
        timer.resume()
        timers.append(timer)
    }

    private static let certificateCheckSeconds = 10

    // MARK: - Ending

    private func handleSignals() {
        do throws(SystemError) {
            signals = try Signals([SIGHUP, SIGTERM, SIGINT], queue: .main) { [self] number in
                MainActor.assumeIsolated { number == SIGHUP ? reload() : stop() }
            }
        } catch {
            Console.error("auth-gateway: signals cannot be watched: \(error)")
            ExitCode.failure.end()
        }
    }

    /// The first signal drains; a second one does not wait.
    private func stop() {
        if isStopping {
            end()
            return
        }
        isStopping = true
        logs?.service.info("stopping: no new connections, the others end with their exchange")
        guard let server else {
            end()
            return
        }
        server.drain(milliseconds: Self.drainMilliseconds) { [self] in
            MainActor.assumeIsolated { () -> Void in end() }
        }
    }

    private func end() {
        logs?.service.info("stopped")
        logs?.flush()
        ExitCode.success.end()
    }

    /// Within the 30 s that service managers give.
    private static let drainMilliseconds = 25_000
}

extension SessionPolicy {
    /// What a configuration says of sessions and their tokens.
    init(_ configuration: GatewayConfiguration) {
        self.init(
            issuer: configuration.accessToken.issuer, audience: configuration.accessToken.audience,
            accessLifetime: configuration.accessToken.lifetimeMilliseconds,
            leeway: configuration.accessToken.leewayMilliseconds,
            idleLifetime: configuration.refreshToken.idleLifetimeMilliseconds,
            maxLifetime: configuration.refreshToken.maxLifetimeMilliseconds,
            cookieRaceWindow: configuration.refreshToken.cookieRaceWindowMilliseconds,
            bodyRaceWindow: configuration.refreshToken.bodyRaceWindowMilliseconds,
            style: TokenStyle(configuration), jitterPercent: Int64(configuration.accessToken.jitterPercent),
            sessionsPerSubject: configuration.refreshToken.sessionsPerSubject)
    }
}

extension TokenStyle {
    /// What a configuration says of the form of tokens.
    init(_ configuration: GatewayConfiguration) {
        if let useExpiry = configuration.accessToken.useExpiry {
            self = .single(claim: useExpiry.claim, useLifetime: useExpiry.lifetimeMilliseconds)
        } else {
            self = configuration.refreshToken.format == .jwt ? .signedRefresh : .opaqueRefresh
        }
    }
}

/// A start that cannot succeed, in one plain line.
struct StartProblem: Error {
    let reason: String
}
