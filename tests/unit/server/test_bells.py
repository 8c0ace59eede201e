"""Who waits is woken by its own bell, from any thread, and never misses one."""

import asyncio
import threading

from isthmus_server.flower.bells import Bells


def test_news_wakes_who_waits_for_them():
    async def play():
        bells, news, looks = Bells(), [], []
        bells.start()

        async def look():
            looks.append(1)
            return news[0] if news else None

        def tell():
            news.append("here")
            bells.ring("replies")

        threading.Timer(0.05, tell).start()
        found = await asyncio.wait_for(bells.first("replies", 10.0, look), 5.0)
        return found, len(looks)

    assert asyncio.run(play()) == ("here", 2)


def test_another_bell_wakes_nobody_and_the_wait_ends():
    async def play():
        bells, looks = Bells(), []
        bells.start()

        async def look():
            looks.append(1)

        bells.ring(8)
        began = asyncio.get_running_loop().time()
        found = await bells.first(7, 0.1, look)
        return found, len(looks), asyncio.get_running_loop().time() - began

    found, looks, took = asyncio.run(play())
    assert (found, looks) == (None, 2)
    assert 0.09 < took < 2.0


def test_closing_lets_everybody_go():
    async def play():
        bells = Bells()
        bells.start()

        async def look():
            return None

        waiting = [asyncio.create_task(bells.first(key, 20.0, look)) for key in (1, 2, "replies")]
        await asyncio.sleep(0)
        bells.close()
        return await asyncio.wait_for(asyncio.gather(*waiting), 5.0)

    assert asyncio.run(play()) == [None, None, None]
