"""The streams of events of open tabs."""

import asyncio

from misure.viewer.events import Events


def test_a_tab_that_closes_as_an_event_comes_is_gone():
    """Both in the same turn of the loop, where a cancellation can be lost."""
    gone = []

    async def closes():
        events = Events(gone.append, grace_s=0.0)
        closed = asyncio.Event()

        async def receive():
            await closed.wait()
            return {"type": "http.disconnect"}

        async def send(message):
            pass

        serving = asyncio.create_task(events.serve("one", receive, send))
        await asyncio.sleep(0.01)
        # The stream ends two turns after its tab: the event comes in between.
        closed.set()
        await asyncio.sleep(0)
        events.publish({"type": "doing"})
        await asyncio.wait_for(serving, 2)
        await asyncio.sleep(0.01)

    asyncio.run(closes())
    assert gone == ["one"]
