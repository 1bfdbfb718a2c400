"""What makes one machine enough: embedded MongoDB and Kafka, the sample library, the demo. Used by the scripts only.

demo                     ▶ the demo, in order: services, library, batch, queries, player
home                       the demo's folder: made, tried, locked; the settings it exports
services, processes        embedded MongoDB and Kafka; processes that are found and stopped again
batch                    ▶ extract, train and publish in one driver
library/                   whether it has to be read, reading it, noticing when it changes
streams                  ▶ both queries, feed and catalogue in one driver
scripted_listener          one listener for `demo.sh --once`
simulated_listeners      ▶ simulated-1, simulated-2, … for `demo.sh --listeners N`
backup/, restore         ▶ a backup of lake, models and MongoDB, and back
doctor/                  ▶ what is wrong with an installation, and what to do
pictures                 ▶ the pictures of the player in docs/, of a running demo
code_archive             ▶ a zip of our packages, which travels with a job
startup_cache_workload   ▶ what setup runs to build the Java startup cache
sample_library           ▶ music made on the user's machine
"""
