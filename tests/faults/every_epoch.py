"""The real fork server, whose trainings write a checkpoint after every epoch, whatever share of the time that takes.

So what a kill costs does not depend on how busy the machine is.
"""

from hpo import checkpoints, forkserver

if __name__ == "__main__":
    checkpoints.SHARE = float("inf")
    forkserver.main()
