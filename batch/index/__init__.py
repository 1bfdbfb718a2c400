from batch.index.lsh import Index as Index
