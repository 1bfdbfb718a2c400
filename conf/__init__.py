"""Configuration, shared by all parts.

settings      the settings, one frozen object, read from settings.toml and the environment
kafka         the Kafka cluster, and how its clients prove who they are
section       a group of settings
yarn          what YARN's containers get of the environment
yarn_container  what YARN tells a process of its container
messages      what is said about wrong ones

Beside it: settings.toml, spark-defaults.conf, fairscheduler.xml, log4j2.properties, ivy.xml (the jars).
"""
