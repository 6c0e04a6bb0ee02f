// A shard's turn: Dispatch calls it when the epoll set has something; it drains readiness in batches, looks
// at the mailbox and at due timers in between, lingers a moment for more, and gives the queue back.
//
// Owned by: one shard's serial queue. Everything here is born on it and dies on it; only `Wakeup` is shared.
//
// Why it lingers (ARCHITECTURE 1): returning to Dispatch after each batch costs 14.5 µs per proxied request,
// lingering in `epoll_wait` 12.7 µs, and a client that answers at once finds the shard awake (p50 32 instead
// of 64 µs). The linger is longer than the kernel's tick: a shorter one would be the machine's next timer,
// and setting that up costs a trip to the hypervisor for each wait (48 against 31 µs of system time per
// request at one connection).

package import Dispatch
package import Primitives

/// What an event loop calls back: a connection, one class per role. A class and not a protocol, because it is
/// called for every event and a vtable is the cheapest dispatch there is.
open class EventTarget {
    fileprivate var handle = SlotMap<EventTarget>.Handle(raw: 0)
    /// What the current batch says of it, until its turn comes.
    fileprivate var news: Readiness = []
    /// The wheel's slot that will look at this target; `.max` when none will.
    fileprivate var scheduledTick = Int64.max {
        didSet {
            scheduledMilliseconds =
                scheduledTick == .max ? .max : scheduledTick * TimerWheel.tickMilliseconds
        }
    }
    /// The same as a time; kept because it is compared with each new deadline.
    fileprivate private(set) var scheduledMilliseconds = Int64.max
    /// When `deadlinePassed` is due; `.never` for no deadline.
    package fileprivate(set) final var deadline = MonotonicInstant.never

    /// A target that no loop knows yet.
    public init() {}

    /// The descriptor is ready.
    open func becameReady(_ readiness: Readiness) {}

    /// The deadline has passed; it is `.never` again.
    open func deadlinePassed() {}

    /// Whether the loop knows the target.
    package fileprivate(set) final var isRegistered = false

    /// Whether the current batch has an event for it that has not been handled yet.
    package final var hasNews: Bool { !news.isEmpty }

    /// Names the target for replies from other queues; stale once it is removed from the loop.
    package final var slot: UInt64 { handle.raw }
}

/// One shard's loop over readiness, messages and time.
package final class EventLoop {
    private let poller: Poller
    private let queue: DispatchQueue
    private var targets = SlotMap<EventTarget>()
    private var wheel: TimerWheel
    private var source: (any DispatchSourceRead)?
    private var timer: (any DispatchSourceTimer)?
    private var timerInstant = MonotonicInstant.never
    private var onMessages: () -> Void = {}
    private var onBatchBegin: () -> Void = {}
    private var onBatchEnd: () -> Void = {}
    private var onTurnEnd: () -> Void = {}
    private var isStopped = false
    /// The targets of the current batch.
    private var ready: [EventTarget] = []
    /// Targets that have more to do than one turn gives them.
    private var unfinished: [EventTarget] = []

    /// Rings this loop's mailbox.
    package let wakeup: Wakeup
    /// The time of the current batch.
    package private(set) var now: MonotonicInstant
    /// The same, to measure by: when the current batch of events began.
    package private(set) var microseconds: Int64

    /// Made on its queue, which must be serial.
    package init(queue: DispatchQueue) throws(SystemError) {
        dispatchPrecondition(condition: .onQueue(queue))
        self.queue = queue
        poller = try Poller()
        wakeup = try Wakeup()
        microseconds = Clock.microseconds
        now = MonotonicInstant(milliseconds: microseconds / 1000)
        wheel = TimerWheel(now: now)
        try poller.add(wakeup: wakeup.raw, data: Self.wakeupData)
    }

    /// Starts taking turns.
    ///
    /// - Parameters:
    ///   - onMessages: the mailbox has something; called on the queue.
    ///   - onBatchBegin: events have come and are about to be handled; called on the queue.
    ///   - onBatchEnd: a batch of events has been handled; called on the queue.
    ///   - onTurnEnd: the queue is about to be given back; called on it.
    package func start(
        onMessages: @escaping () -> Void, onBatchBegin: @escaping () -> Void = {},
        onBatchEnd: @escaping () -> Void = {}, onTurnEnd: @escaping () -> Void = {}
    ) {
        self.onMessages = onMessages
        self.onBatchBegin = onBatchBegin
        self.onBatchEnd = onBatchEnd
        self.onTurnEnd = onTurnEnd
        let source = DispatchSource.makeReadSource(fileDescriptor: poller.descriptor.raw, queue: queue)
        source.setEventHandler { [unowned self] in turn() }
        self.source = source
        let timer = DispatchSource.makeTimerSource(queue: queue)
        timer.setEventHandler { [unowned self] in
            timerInstant = .never
            turn()
        }
        timer.schedule(deadline: .distantFuture)
        timer.resume()
        self.timer = timer
        source.resume()
    }

    /// Ends the loop; sources go before the descriptors that they watch.
    package func stop() {
        isStopped = true
        source?.cancel()
        timer?.cancel()
    }

    // MARK: - Targets

    /// Watches a target's connection. It is told of each change once; its transport remembers.
    package func add(_ target: EventTarget, _ transport: borrowing Transport) throws(SystemError) {
        precondition(!target.isRegistered, "a target was added twice")
        let handle = targets.insert(target)
        do throws(SystemError) {
            try poller.add(connection: transport.descriptor.raw, data: handle.raw)
        } catch {
            targets.remove(handle)
            throw error
        }
        target.handle = handle
        target.isRegistered = true
    }

    /// Watches a listener on a target's behalf, until `remove(acceptor:)`.
    func add(acceptor target: Acceptor) throws(SystemError) {
        add(timer: target)
        do throws(SystemError) {
            try poller.add(listener: target.listener.descriptor.raw, data: target.handle.raw)
        } catch {
            remove(target)
            throw error
        }
    }

    func remove(acceptor target: Acceptor) {
        // The listener lives on for others: the kernel does not forget it by itself.
        if target.isRegistered { poller.remove(target.listener.descriptor.raw) }
        remove(target)
    }

    /// Takes in a target that has no connection, and waits for its deadlines alone.
    package func add(timer target: EventTarget) {
        precondition(!target.isRegistered, "a target was added twice")
        target.handle = targets.insert(target)
        target.isRegistered = true
    }

    /// Forgets a target, before its transport closes. Later events and replies for it find nothing.
    package func remove(_ target: EventTarget) {
        if !target.isRegistered { return }
        // epoll(7): a descriptor leaves the set when it is closed, which comes next.
        targets.remove(target.handle)
        target.isRegistered = false
        target.deadline = .never
        target.scheduledTick = .max
    }

    /// Has a target called again after the others have had their turn: it has used up its share of this one.
    package func callAgain(_ target: EventTarget) { unfinished.append(target) }

    /// The target that a reply is for; nil when it has gone.
    package func target(slot: UInt64) -> EventTarget? { targets[SlotMap.Handle(raw: slot)] }

    /// Every registered target.
    package var allTargets: [EventTarget] { targets.values }

    // MARK: - Deadlines

    /// Moves a target's deadline. Later is free; earlier costs one entry in the wheel.
    @inline(__always)
    package func setDeadline(_ target: EventTarget, milliseconds: Int64) {
        let deadline = now.advanced(byMilliseconds: milliseconds)
        target.deadline = deadline
        // Whoever is looked at no later than this needs no second entry: almost every call ends here.
        if deadline.milliseconds >= target.scheduledMilliseconds { return }
        schedule(target)
    }

    /// Takes a target's deadline away.
    package func clearDeadline(_ target: EventTarget) { target.deadline = .never }

    private func schedule(_ target: EventTarget) {
        let tick = wheel.dueTick(target.deadline)
        if tick >= target.scheduledTick { return }
        target.scheduledTick = tick
        wheel.schedule(target.handle.raw, tick: tick)
    }

    private func visitDue() {
        var due: [EventTarget] = []
        wheel.due(now) { raw, tick in
            // An entry that a nearer one has overtaken is stale.
            guard let target = targets[SlotMap.Handle(raw: raw)], target.scheduledTick == tick else { return }
            target.scheduledTick = .max
            due.append(target)
        }
        for target in due where target.isRegistered {
            if target.deadline <= now {
                target.deadline = .never
                target.deadlinePassed()
            } else if target.deadline != .never && target.scheduledTick == .max {
                schedule(target)
            }
        }
    }

    // MARK: - The turn

    private func turn() {
        if isStopped { return }
        readClock()
        let end = now.advanced(byMilliseconds: Self.turnMilliseconds)
        var lingers: Int32 = 0
        repeat {
            var hasMessages = false
            let resumed = unfinished
            unfinished.removeAll(keepingCapacity: true)
            let count = poller.wait(milliseconds: resumed.isEmpty ? lingers : 0)
            // Read behind the wait, which may have been a long one: what comes now must not be judged by its
            // beginning.
            readClock()
            onBatchBegin()
            takeEvents(count, &hasMessages)
            for target in resumed where target.isRegistered { target.becameReady([]) }
            if hasMessages { onMessages() }
            visitDue()
            onBatchEnd()
            if isStopped || count == 0 && lingers > 0 && unfinished.isEmpty { break }
            lingers = Self.lingerMilliseconds
        } while now < end || !unfinished.isEmpty && !isStopped
        onTurnEnd()
        if !isStopped { armTimer() }
    }

    /// In two passes, so that whoever is called can ask of another target whether something has arrived for
    /// it in the same batch.
    private func takeEvents(_ count: Int, _ hasMessages: inout Bool) {
        for index in 0..<count {
            let (data, readiness) = poller.event(index)
            if data == Self.wakeupData {
                wakeup.acknowledge()
                hasMessages = true
            } else if let target = targets[SlotMap.Handle(raw: data)] {
                target.news = readiness
                ready.append(target)
            }
        }
        for target in ready where target.isRegistered { tellNews(to: target) }
        ready.removeAll(keepingCapacity: true)
    }

    private func readClock() {
        microseconds = Clock.microseconds
        now = MonotonicInstant(milliseconds: microseconds / 1000)
    }

    /// Has a target handle now what the current batch says of it.
    package func tellNews(to target: EventTarget) {
        if target.news.isEmpty { return }
        let news = target.news
        target.news = []
        target.becameReady(news)
    }

    /// The wheel is visited in every turn; the timer is there for a shard that has no other reason to wake.
    private func armTimer() {
        guard let next = wheel.next, next < timerInstant else { return }
        timerInstant = next
        let wait = Int(max(1, next.milliseconds - now.milliseconds))
        timer?.schedule(deadline: .now() + .milliseconds(wait), leeway: .milliseconds(20))
    }

    private static let wakeupData: UInt64 = 0
    private static let lingerMilliseconds: Int32 = 100
    /// Longer turns win nothing, and the queue has its timer to run.
    private static let turnMilliseconds: Int64 = 50
}
