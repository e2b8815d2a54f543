"""Says the same several times, with silence between: a WAV file of 16-bit samples in, a longer one out.

    python3 tests/goldens/repeat.py IN.wav OUT.wav [TIMES] [SECONDS_BETWEEN]
"""

import sys
import wave


def main():
    if len(sys.argv) not in (3, 4, 5):
        sys.exit(__doc__)
    times = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    pause = float(sys.argv[4]) if len(sys.argv) > 4 else 2.0
    with wave.open(sys.argv[1]) as own:
        parameters, said = own.getparams(), own.readframes(own.getnframes())
    silence = bytes(int(pause * parameters.framerate) * parameters.nchannels * parameters.sampwidth)
    with wave.open(sys.argv[2], "wb") as out:
        out.setparams(parameters)
        out.writeframes(silence.join([said] * times))


main()
