// A running gateway hands over to another process of the same state directory, for an upgrade that no client
// notices. The successor gets the listening sockets themselves: two processes that each open their own on one
// port (SO_REUSEPORT) would lose the connections that wait in the older one's queue when it closes.
//
//     successor                        this gateway
//     take over                    →
//                                  ←   listeners, with the sockets, and the numbers of those that are the
//                                      supervisor's
//     (prepares itself)
//     release                      →   answers say that connections end; after a moment nothing new is taken
//                                      in (it waits in the sockets), and the store is closed
//                                  ←   released
//     (opens the store, serves)
//     serving                      →   drains and ends
//
// When the successor goes before it serves, this gateway opens the store and goes on. One that stands still
// is ended: nobody serves while it does.

import Configuration
import Dispatch
import Glibc
import Network
import Observability
import Proxy
import Sessions

/// How far handing over has come.
@MainActor
final class HandOver {
    let successor: Conversation
    /// The successor has asked for the release.
    var isAsked = false
    /// The store is closed, or about to be.
    var hasReleased: Bool
    /// How often the store could not be opened again since the successor has gone.
    var failures = 0

    init(to successor: Conversation, hasReleased: Bool) {
        (self.successor, self.hasReleased) = (successor, hasReleased)
    }
}

extension RunCommand {
    /// Opens the socket for other processes. Where it cannot be, all else works.
    func listenToProcesses(_ state: StateDirectory, takesPlace: Bool) {
        do throws(SystemError) {
            processSocket = try ProcessSocket(path: state.socketPath, takesPlace: takesPlace) {
                [self] line, conversation in hear(line, conversation)
            }
        } catch {
            services?.log.warning(
                "\(state.socketPath) cannot be listened on (\(error.reason)): no 'reload', no hand-over")
        }
    }

    private func hear(_ line: String, _ conversation: Conversation) {
        let current = handOver.flatMap { $0.successor === conversation ? $0 : nil }
        switch (line, current) {
        case ("reload", nil):
            reload { outcome in
                conversation.say(outcome.line)
                conversation.end()
            }
        case ("live", _):
            server?.ping {
                MainActor.assumeIsolated {
                    conversation.say("live")
                    conversation.end()
                }
            }
        case ("take over", nil): beginHandOver(conversation)
        case ("release", let current?) where !current.isAsked: prepareRelease(current)
        case ("serving", let current?) where current.hasReleased: endHandedOver(current)
        // A successor that makes no sense is none.
        default: conversation.breakOff()
        }
    }

    private func beginHandOver(_ successor: Conversation) {
        if isFirstProcess {
            successor.end()
            return
        }
        // One that has gone and left the store closed may have another one after it.
        guard let server, !isStopping, handOver.map({ $0.failures > 0 }) ?? true else {
            successor.end()
            return
        }
        let handOver = HandOver(to: successor, hasReleased: handOver?.hasReleased ?? false)
        self.handOver = handOver
        successor.ended = { [self] in takeUpAgain(from: handOver) }
        logs?.service.info("handing over to process \(successor.process ?? 0)")
        let sockets = server.sockets
        let lent = sockets.indices.filter { sockets[$0].isLent }.map(String.init)
        let line = (["listeners"] + lent).joined(separator: " ")
        if !successor.say(line, passing: sockets) { successor.breakOff() }
        // Whoever has this object keeps its conversation open.
        after(milliseconds: Self.preparationMilliseconds) { [self, weak handOver] in
            if let handOver, !handOver.isAsked { giveUp(handOver) }
        }
    }

    /// Clients that send without a pause are told in an answer that their connection ends, and come again:
    /// to the successor, most of them.
    private func prepareRelease(_ handOver: HandOver) {
        handOver.isAsked = true
        server?.keepConnections(false)
        after(milliseconds: Self.lastRequestsMilliseconds) { [self] in
            // It may have gone since, and another one come.
            if self.handOver === handOver { release(handOver) }
        }
    }

    private func release(_ handOver: HandOver) {
        guard let sessions else { return }
        server?.accept(false)
        handOver.hasReleased = true
        sessions.release {
            DispatchQueue.main.async {
                MainActor.assumeIsolated { [self] in tellReleased(handOver) }
            }
        }
    }

    private func tellReleased(_ handOver: HandOver) {
        handOver.successor.say("released")
        after(milliseconds: Self.outageMilliseconds) { [self, weak handOver] in
            if let handOver { giveUp(handOver) }
        }
    }

    /// Ends a successor that has not gone on in time. When it is gone, all is taken up again.
    private func giveUp(_ handOver: HandOver) {
        guard self.handOver === handOver, handOver.failures == 0, !isStopping else { return }
        let process = handOver.successor.process ?? 0
        logs?.service.error("the successor stands still: process \(process) is ended")
        if process == 0 || !Processes.kill(process) { handOver.successor.breakOff() }
    }

    private func endHandedOver(_ handOver: HandOver) {
        guard let server, let configuration else { return }
        if let process = handOver.successor.process { supervision?.tell("MAINPID=\(process)") }
        handOver.successor.end()
        // Stopped meanwhile: it drains already.
        if isStopping { return }
        isStopping = true
        logs?.service.info("handed over: what has begun ends here")
        server.drain(milliseconds: Int(configuration.drainTimeoutMilliseconds), isHandedOver: true) {
            [self] in
            MainActor.assumeIsolated { () -> Void in end() }
        }
    }

    /// The process stops: what has not been released does not go over any more.
    ///
    /// - Returns: whether a successor has been given everything, and goes on.
    func callOffHandOver() -> Bool {
        guard let handOver, handOver.failures == 0 else { return false }
        if handOver.hasReleased { return true }
        handOver.successor.say("stopping")
        handOver.successor.end()
        self.handOver = nil
        return false
    }

    /// The successor has gone before it served.
    private func takeUpAgain(from handOver: HandOver) {
        guard self.handOver === handOver, let server, !isStopping else { return }
        if handOver.hasReleased, let problem = openStoreAgain() {
            handOver.failures += 1
            // It may be about to end, and holds the store until it has: meanwhile clients wait. But not for
            // ever.
            if handOver.failures == Self.failuresMax {
                server.keepConnections(true)
                server.accept(true)
                logs?.service.error(
                    "the successor has gone before it served: this gateway goes on without its sessions: "
                        + problem)
            }
            after(milliseconds: Self.retryMilliseconds) { [self] in takeUpAgain(from: handOver) }
            return
        }
        self.handOver = nil
        server.keepConnections(true)
        server.accept(true)
        logs?.service.error("the successor has gone before it served: this gateway goes on")
    }

    /// - Returns: why it cannot be.
    private func openStoreAgain() -> String? {
        guard let sessions, let configuration, let keyWatch else { return nil }
        let path = StateDirectory.databasePath(in: configuration.stateDirectory)
        do throws(StoreError) {
            try sessions.resume(refreshKeys: keyWatch.refreshKeys, policy: SessionPolicy(configuration)) {
                () throws(StoreError) in try SQLiteSessionStore(path: path)
            }
            // The successor may have served for a moment.
            try sessions.publishRecentRevocations {}
            return nil
        } catch {
            return error.detail
        }
    }

    /// SIGUSR2: starts the program that stands now where this one did, and has it take over.
    func startSuccessor() {
        if isFirstProcess { return }
        if isStopping {
            logs?.service.error("no hand-over: this gateway is stopping, or has handed over already")
            return
        }
        let arguments = CommandLine.arguments.filter { $0 != Self.takeOverOption } + [Self.takeOverOption]
        do throws(SystemError) {
            _ = try Processes.start(arguments)
            logs?.service.info("a successor has been started")
        } catch {
            logs?.service.error("no successor can be started: \(error)")
        }
    }

    /// Whether a container would end with this process, and with it the successor; then that is said.
    private var isFirstProcess: Bool {
        if getpid() != 1 { return false }
        logs?.service.error("no hand-over: the container ends with this process, so start another one")
        return true
    }

    /// In a successor that its predecessor has started: starts it once more, and ends. systemd waits, when it
    /// stops a service, for the end of a process of its own; a child of the predecessor is none, and would be
    /// killed with what it has begun. A child of nobody is.
    func startOrphan() throws -> Never {
        _ = try Processes.start(CommandLine.arguments)
        ExitCode.success.end()
    }

    /// SIGCHLD: a successor that could not. One that ends well has started the one that will.
    func noteEndedProcesses() {
        while let ended = Processes.ended() {
            if ended.status == 0 { continue }
            let way = Processes.way(ofStatus: ended.status)
            logs?.service.error("process \(ended.process), which was to take over, has ended \(way)")
        }
    }

    nonisolated static let takeOverOption = "--take-over"
    /// For certificates, and for the names of upstreams.
    private static let preparationMilliseconds = 60_000
    /// For opening the store: clients wait meanwhile.
    private static let outageMilliseconds = 15_000
    private static let lastRequestsMilliseconds = 500
    private static let retryMilliseconds = 100
    /// For two seconds.
    private static let failuresMax = 20
}
