// Signals, and the orderly end: no new connections, the others end with their exchange, and then the logs are
// complete.

import Dispatch
import Glibc
import Network
import Observability
import Proxy

extension RunCommand {
    func handleSignals() {
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
