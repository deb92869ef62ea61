// The life of a link: connect, sign in, load the scripts, be ready; on any loss tell everybody,
// pause and begin again. Only events of the current channel count.
internal import Logging
internal import NIOCore
internal import Primitives
internal import Synchronization

extension RedisLink {
    /// Begins to connect; `whenTried` is told after the first attempt, whatever came of it.
    func start(_ whenTried: @escaping () -> Void) {
        switch state {
        case .idle:
            firstAttempt.append(whenTried)
            connect()
        case .connecting, .greeting: firstAttempt.append(whenTried)
        case .ready, .pausing, .closed: whenTried()
        }
    }

    /// Ends the link for good.
    func close() {
        let channel = liveChannel
        if case .pausing(let task) = state { task.cancel() }
        setReady(false)
        state = .closed
        lastFailure = RedisError(.connection("this node has closed its connections"))
        dropEverything(because: lastFailure)
        channel?.close(promise: nil)
        reportFirstAttempt()
    }

    /// Gives up `channel` and everything on it, if it is the current one.
    func lose(_ channel: any Channel, because failure: RedisError) {
        guard let current = liveChannel, current === channel else { return }
        recover(from: failure)
        channel.close(promise: nil)
    }

    private func connect() {
        state = .connecting
        connector.connect(self, on: loop).assumeIsolated().whenComplete { result in
            switch result {
            case .success(let channel): self.greet(channel)
            case .failure(let error):
                guard case .connecting = self.state else { return }
                self.recover(from: RedisError(.connection("\(error)")))
            }
        }
    }

    /// Signs in, chooses the database and loads the scripts in one write.
    ///
    /// The PING at its end is what finds a server that accepts connections but does not answer.
    private func greet(_ channel: any Channel) {
        guard case .connecting = state else { return channel.close(promise: nil) }
        guard channel.isActive else {
            return recover(from: RedisError(.connection("Redis closed the connection")))
        }
        state = .greeting(channel)
        var commands: [RedisCommand] = []
        if let password = configuration.password {
            // Exposed here because this is the one place that signs in.
            let secret = RedisArgument.bytes(password.exposed)
            let login = configuration.user.map { [.text($0), secret] } ?? [secret]
            commands.append(RedisCommand("AUTH", arguments: login))
        }
        if configuration.database != 0 {
            commands.append(RedisCommand("SELECT", .number(configuration.database)))
        }
        commands += scripts.map(\.loading)
        for command in commands { ask(command, on: channel) { _ in } }
        ask(RedisCommand("PING"), on: channel) { _ in self.becomeReady(channel) }
    }

    private func ask(
        _ command: RedisCommand,
        on channel: any Channel,
        _ next: @escaping (RedisValue) -> Void
    ) {
        let call = RedisCall(command, until: .after(configuration.connectTimeout))
        let step = NIOLoopBound((link: self, next: next), eventLoop: loop)
        call.waiter = .callback { reply in
            switch reply {
            case .success(let value): step.value.next(value)
            case .failure(let error): step.value.link.greetingFailed(channel, error)
            }
        }
        enqueue(call)
    }

    private func greetingFailed(_ channel: any Channel, _ error: any Error) {
        let failure: RedisError =
            switch (error as? RedisError)?.kind {
            case .server(let code, let message):
                RedisError(.connection("Redis refused the greeting: \(code) \(message)"))
            case .deadline: RedisError(.connection("Redis did not answer the greeting in time"))
            case .connection, .overloaded, .protocolViolation, nil:
                RedisError(.connection("\(error)"))
            }
        lose(channel, because: failure)
    }

    private func becomeReady(_ channel: any Channel) {
        guard case .greeting = state else { return }
        state = .ready(channel)
        connection = Self.connectionsMade.wrappingAdd(1, ordering: .relaxed).newValue
        backoff.reset()
        setReady(true)
        metrics.connects.increment()
        logger.info("redis: connected", metadata: ["redis": "\(configuration)"])
        reportFirstAttempt()
    }

    private func recover(from failure: RedisError) {
        let pause = backoff.pause(entropy: .system)
        let isNews = failure != lastFailure || readiness.flag.load(ordering: .relaxed)
        setReady(false)
        lastFailure = failure
        metrics.losses.increment()
        let delay = TimeAmount.microseconds(pause.wholeMicroseconds)
        let task = loop.assumeIsolated().scheduleTask(in: delay) {
            guard case .pausing = self.state else { return }
            self.connect()
        }
        state = .pausing(task)
        // The same failure again and again is said once.
        if isNews {
            logger.warning(
                "redis: no connection",
                metadata: ["redis": "\(configuration)", "reason": "\(failure)"]
            )
        }
        dropEverything(because: failure)
        reportFirstAttempt()
    }

    private func setReady(_ isReady: Bool) {
        let before = readiness.flag.exchange(isReady, ordering: .relaxed)
        if before != isReady { metrics.connections.add(isReady ? 1 : -1) }
    }

    private func reportFirstAttempt() {
        let waiting = firstAttempt
        firstAttempt = []
        for report in waiting { report() }
    }
}
