"""Request counts by client and outcome, updated from any thread without a lock."""

__all__ = ["LIMIT", "OUTCOME_NAMES", "ClientCounts"]

LIMIT = CLIENTS
OUTCOME_NAMES = ("answered", "refused", "failed", "turned_away")


cdef class ClientCounts:
    def add(self, int client, int outcome):
        if not (0 <= client < CLIENTS and 0 <= outcome < OUTCOMES):
            raise IndexError(f"no client {client} with outcome {outcome}")
        count_client(&self.counts[0], client, <ClientOutcome>outcome)

    def read(self):
        cdef int client, outcome
        found = []
        for client in range(CLIENTS):
            for outcome in range(OUTCOMES):
                if self.counts[client * OUTCOMES + outcome]:
                    count = self.counts[client * OUTCOMES + outcome]
                    found.append((client, outcome, count))
        return found
