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
    let path: String
    var server: Server?
    var logs: Logs?
    var keyWatch: OwnKeyWatch?
    /// Shows other processes that a gateway runs on the keys.
    var presence: FileLock?
    var configuration: GatewayConfiguration?
    var services: GatewayServices?
    var sessions: RefreshService?
    var ticketKeys: TicketKeys?
    /// What the files of the certificates held when they were last looked at.
    var certificateFiles: [[UInt8]?] = []
    var timers: [any DispatchSourceTimer] = []
    var signals: Signals?
    /// What has begun ends, and nothing begins any more.
    var isStopping = false
    /// By a signal.
    var isToldToStop = false
    /// Whether a gateway that runs is to be taken over from.
    let takesOver: Bool
    var supervision: Supervision?
    var processSocket: ProcessSocket?
    /// A successor that is about to take over.
    var handOver: HandOver?

    init(path: String, takesOver: Bool) {
        self.path = path
        self.takesOver = takesOver
    }

    /// Starts serving, and never returns.
    func start() -> Never {
        // Before anybody can know that the gateway runs, and so could want something of it.
        handleSignals()
        let loaded = ConfigurationLoader.load(path: path, files: SystemFiles())
        for diagnostic in loaded.diagnostics { Console.tell(diagnostic) }
        guard let configuration = loaded.configuration else {
            Console.error(CheckCommand.summary(loaded, path))
            ExitCode.configuration.end()
        }
        let findings = PolicyFindings.find(in: configuration, now: Clock.wall)
        for finding in findings { Console.tell(finding) }
        if findings.hasErrors {
            Console.error("\(path): the configuration does not do what it says itself")
            ExitCode.configuration.end()
        }
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
        if takesOver, Predecessor.isParent(in: configuration.stateDirectory) { try startOrphan() }
        supervision = Supervision(hasTakenOver: takesOver)
        let (inherited, predecessor) = try ground(configuration)
        let logs = try Logs(configuration.logs)
        self.logs = logs
        every(seconds: Self.lossCheckSeconds) { logs.tellLosses() }
        let state: StateDirectory
        let keys: OwnKeys
        let feed = RevocationFeed()
        let sessions: RefreshService
        do {
            state = try StateDirectory(path: configuration.stateDirectory)
            keys = try ownKeys(configuration)
            sessions = try makeSessions(configuration, keys, feed, logs)
        } catch let problem as StateDirectory.Problem {
            throw StartProblem(reason: problem.reason)
        }
        let census = ConnectionCensus(
            totalMax: configuration.limits.connections,
            perAddressMax: configuration.limits.connectionsPerAddress)
        let status = GatewayStatus(version: Version.number, configurationPath: path, started: Clock.wall)
        let services = GatewayServices(
            accessLog: logs.access, audit: logs.audit, log: logs.service, logLosses: logs.losses,
            census: census, status: status)
        do {
            (self.sessions, self.services) = (sessions, services)
            self.configuration = configuration
            let runtime = try GatewayRuntime(
                configuration: configuration, keys: keys.keySet, sessions: sessions, services: services)
            let ticketKeys = try keysOfTickets(configuration)
            certificateFiles = GatewayTLS.files(of: configuration)
            status.set(certificates: GatewayTLS.certificates(of: configuration, at: Clock.wall))
            for remark in GatewayTLS.remarks(on: configuration, at: Clock.wall) {
                logs.service.warning(remark.text)
            }
            let tls = try GatewayTLS.server(configuration, ticketKeys: ticketKeys)
            let server = Server(runtime, tls: tls, inherited: inherited)
            self.server = server
            watchCertificates()
            let keyWatch = OwnKeyWatch(keys, server, sessions, services)
            self.keyWatch = keyWatch
            every(seconds: OwnKeyWatch.intervalSeconds) { keyWatch.look() }
            try server.startShards(
                configuration.workers ?? Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))), feed: feed)
            // As late as can be: until this gateway serves, nobody does.
            if let predecessor {
                try refuseIfStopped()
                try predecessor.awaitRelease()
            }
            try open(sessions, state, keyWatch, configuration)
            if predecessor != nil { try refuseIfStopped() }
            let addresses = try server.listen()
            predecessor?.tellServing()
            server.closeUnclaimed()
            listenToProcesses(state, takesPlace: predecessor != nil)
            let places = addresses.map(\.description).joined(separator: ", ")
            logs.service.info("serving on \(places)")
            supervision?.tell("READY=1", "STATUS=serving on \(places)")
            showLife()
        } catch let error as RuntimeError {
            throw StartProblem(reason: error.reason)
        } catch let error as StoreError {
            throw StartProblem(reason: error.detail)
        }
    }

    /// A successor that is told to stop before it serves leaves everything to who serves still.
    private func refuseIfStopped() throws(StartProblem) {
        if signals?.waiting().isDisjoint(with: [SIGTERM, SIGINT]) == false {
            throw StartProblem(reason: "told to stop before it has taken over")
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
        _ configuration: GatewayConfiguration, _ keys: OwnKeys, _ feed: RevocationFeed, _ logs: Logs
    ) throws -> RefreshService {
        let (audit, service) = (logs.audit, logs.service)
        return RefreshService(
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

    /// Opens the store, and has every shard know what has been revoked before anything is served.
    private func open(
        _ sessions: RefreshService, _ state: StateDirectory, _ keyWatch: OwnKeyWatch,
        _ configuration: GatewayConfiguration
    ) throws(StoreError) {
        // Backups that nobody has taken. One that a predecessor has made may be about to be.
        if !takesOver {
            for left in Files.paths(matching: "\(state.path)/sessions.backup-*") { try? Files.remove(left) }
        }
        // A predecessor may have changed them since they were read.
        keyWatch.look()
        try sessions.resume(refreshKeys: keyWatch.refreshKeys, policy: SessionPolicy(configuration)) {
            () throws(StoreError) in try SQLiteSessionStore(path: state.databasePath)
        }
        let inForce = DispatchSemaphore(value: 0)
        try sessions.publishRecentRevocations { inForce.signal() }
        inForce.wait()
    }

    /// Shows the supervisor, where it asks for it, that every queue moves.
    private func showLife() {
        guard let supervision, let interval = supervision.watchdogMicroseconds else { return }
        // sd_watchdog_enabled(3): "about half of the time".
        every(milliseconds: Int(max(1, interval / 2000))) { [self] in
            server?.ping { supervision.tell("WATCHDOG=1") }
        }
    }

    func every(seconds: Int, _ action: @escaping @MainActor () -> Void) {
        every(milliseconds: seconds * 1000, action)
    }

    private func every(milliseconds: Int, _ action: @escaping @MainActor () -> Void) {
        let timer = DispatchSource.makeTimerSource(queue: .main)
        timer.schedule(deadline: .now() + .milliseconds(milliseconds), repeating: .milliseconds(milliseconds))
        timer.setEventHandler { MainActor.assumeIsolated { action() } }
        timer.resume()
        timers.append(timer)
    }

    func after(milliseconds: Int, _ action: @escaping @MainActor @Sendable () -> Void) {
        DispatchQueue.main.asyncAfter(deadline: .now() + .milliseconds(milliseconds)) {
            MainActor.assumeIsolated { action() }
        }
    }

    private static let lossCheckSeconds = 2
}

/// A start that cannot succeed, in one plain line.
struct StartProblem: Error {
    let reason: String
}
