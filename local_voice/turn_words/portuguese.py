"""How people take, keep and give the floor in Portuguese; `table.py` says what each set is."""

from local_voice.turn_words.table import TurnWords, phrases

PORTUGUESE = TurnWords(
    hums=phrases("m, mm, mhm, hm, hmm, ah, oh, eh, ahã, aham, uhum, hum, hum hum, uh huh, opa"),
    backchannels=phrases(
        "sim, ok, okay, certo, tá, tá bom, tá certo, está bem, está bom, entendi, entendo, percebi, claro, "
        "é, pois é, pois, exato, exatamente, isso, isso mesmo, legal, bom, muito bem, beleza, perfeito, "
        "ótimo, sério, nossa, verdade, interessante, obrigado, obrigada, ah sim, uau, bacana"
    ),
    answers=phrases(
        "sim, não, ok, okay, claro, claro que sim, claro que não, certo, tá, tá bom, está bem, com certeza, "
        "exato, isso, isso mesmo, talvez, acho que sim, acho que não, não sei, ainda não, agora não, "
        "de jeito nenhum, nunca, nada, nada mais, perfeito, pode ser, pode, quero, aham, uhum, mhm, beleza, "
        "mais tarde"
    ),
    courtesy=phrases("por favor, obrigado, obrigada, muito obrigado, muito obrigada, então"),
    stops=phrases(
        "para, pare, pára, para com isso, espera, espere, espera aí, peraí, um momento, um instante, "
        "um segundo, cala a boca, cale a boca, fica quieto, silêncio, quieto, chega, basta, não não, "
        "deixa pra lá, esquece, pausa, cancela, stop, alto, psiu"
    ),
    openers=phrases(
        "eh, é, hum, bem, bom, então, e, mas, ok, sim, não, olá, oi, ei, ah, oh, olha, tipo, por favor, "
        "obrigado, certo"
    ),
    never_last={
        "an article": phrases(
            "o, os, as, um, uma, uns, umas, do, da, dos, das, no, na, nos, nas, ao, à, aos, às, pelo, pela, "
            "num, numa"
        ),
        "a possessive": phrases("meu, minha, meus, minhas, seu, sua, seus, suas, nosso, nossa, teu, tua"),
        "a conjunction": phrases(
            "e, ou, mas, que, porque, se, embora, nem, quando, como, enquanto, pois que"
        ),
        "a preposition": phrases(
            "a, de, em, com, por, para, pra, sem, sobre, entre, até, desde, durante, contra"
        ),
        "a filler": phrases("eh, hum, hm, hmm, mm, tipo, ahn, hã, bem"),
    },
    auxiliaries=phrases(
        "é, são, está, estão, estou, sou, era, tem, tenho, há, quero, queria, gostaria, preciso, posso, "
        "pode, vou, eu, se chama"
    ),
    licences=phrases(
        "onde, quem, que, o que, como, quando, qual, quais, quanto, quanta, quantos, por que, porque, se, "
        "tudo"
    ),
    subordinators=phrases("se, quando, porque, antes de, depois de, enquanto, embora, assim que, até que"),
    joiners=phrases("e, ou"),
    determiners=phrases("meu, minha, meus, minhas, um, uma, o, a, os, as, dois, duas, três, quatro, cinco"),
    complete=phrases(
        "e você, ou não, não é, não sou, não tem, não tenho, não posso, não quero, não está, aí está, "
        "tudo bem, nada mais, algo mais, um pouco mais, é meu, é minha, é seu, é sua, muito bem, pois não, "
        "sim é, eu também, acho que é, só um, mais um, mais uma, também não, tá bem, quem sou eu, e eu, "
        "está bem, não há, vou bem, sim posso, pode, não pode"
    ),
    unfinished=phrases(
        "você pode, pode me, poderia, você poderia, me dá, me dê, mostre me, por exemplo, quer dizer, "
        "e depois, e aí, como se diz, deixa eu ver, deixa eu pensar, é que"
    ),
    asks_yes_no=phrases(
        "é, está, são, você quer, quer, deseja, gostaria, você gostaria, pode, posso, podemos, você tem, "
        "tem, há, devo, você prefere, prefere, precisa, você precisa, sabe, mais alguma coisa, algo mais, "
        "pronto, pronta, continuo, tudo bem, você está, quer que eu"
    ),
    tags=phrases("não, né, não é, certo, ok, sim, tá, tá bom, está bem, ou não, correto, pode ser"),
    requests=phrases(
        "você pode me dizer, pode me dizer, poderia me dizer, você poderia me dizer, me diga, diga me, "
        "me diz, me dê, me dá, pode soletrar, você pode soletrar, poderia soletrar, soletre, "
        "por favor diga, por favor me diga, pode me dar, poderia me dar"
    ),
    alternatives=phrases("ou"),
    asks_digits=phrases(
        "número, telefone, celular, código, cep, código postal, data, data de nascimento, aniversário, pin, "
        "conta, dígitos, nasceu"
    ),
    asks_spelling=phrases(
        "soletrar, soletre, se escreve, endereço, email, e mail, senha, rua, morada, letra por letra"
    ),
    asks_list=phrases(
        "ingredientes, itens, nomes, coisas, lista, do que você precisa, o que você precisa, compras"
    ),
    invented=phrases(
        "obrigado, obrigada, tchau, até mais, até logo, é, e, até a próxima, oh, ah, mm, muito obrigado"
    ),
    never_said=phrases(
        "legendas pela comunidade, legendas por, legenda por, legendado por, tradução e legendas, "
        "obrigado por assistir, obrigada por assistir, inscreva se no canal, inscreva se, "
        "não se esqueça de se inscrever, até o próximo vídeo"
    ),
    drops_pronouns=True,
)
